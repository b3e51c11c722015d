"""The anthropic package: messages, stream, tools, count of tokens."""

import json
import os

import anthropic

client = anthropic.Anthropic(base_url=os.environ["LYCEUM_URL"], api_key=os.environ["OPENAI_API_KEY"], max_retries=0)
about = {"model": "auto", "max_tokens": 100, "messages": [{"role": "user", "content": "hi"}]}
schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
tools = [{"name": "weather", "description": "The weather.", "input_schema": schema}]
plain = client.messages.create(**about, system="Be brief.")
with client.messages.stream(**about) as events:
    text = "".join(events.text_stream)
    final = events.get_final_message()
called = client.messages.create(**about, tools=tools)
use = next(block for block in called.content if block.type == "tool_use")
result = {"type": "tool_result", "tool_use_id": use.id, "content": "sunny"}
turns = [*about["messages"], {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
after = client.messages.create(**{**about, "messages": turns}, tools=tools)
with client.messages.stream(**about, tools=tools) as events:
    streamed = events.get_final_message()
print(
    json.dumps(
        {
            "chat": plain.content[0].text,
            "stop": plain.stop_reason,
            "usage": plain.usage.output_tokens > 0,
            "stream": [text, final.stop_reason, final.usage.output_tokens > 0],
            "tool": [use.name, use.input, called.stop_reason],
            "after_tool": after.content[0].text,
            "streamed_tool": [streamed.content[-1].name, streamed.content[-1].input],
            "count": client.messages.count_tokens(model="auto", messages=about["messages"]).input_tokens > 0,
        }
    )
)
