"""The openai package: chat, stream, tools and structured output; its own types are strict about what we answer."""

import json

import openai
from pydantic import BaseModel

MESSAGES = [{"role": "user", "content": "hi"}]
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


class City(BaseModel):
    """What structured output is to be."""

    name: str
    population: int


client = openai.OpenAI(max_retries=0)
chat = client.chat.completions.create(model="auto", messages=MESSAGES)
stream = list(
    client.chat.completions.create(model="auto", messages=MESSAGES, stream=True, stream_options={"include_usage": True})
)
first = client.chat.completions.create(model="auto", messages=MESSAGES, tools=[TOOL])
call = first.choices[0].message.tool_calls[0]
answer = {"role": "tool", "tool_call_id": call.id, "content": "sunny"}
second = client.chat.completions.create(
    model="auto", messages=[*MESSAGES, first.choices[0].message, answer], tools=[TOOL]
)
with client.chat.completions.stream(model="auto", messages=MESSAGES, tools=[TOOL]) as events:
    called = events.get_final_completion().choices[0].message.tool_calls[0]
parsed = client.chat.completions.parse(model="auto", messages=MESSAGES, response_format=City)
print(
    json.dumps(
        {
            "version": openai.VERSION,
            "chat": chat.choices[0].message.content,
            "usage": chat.usage.total_tokens == chat.usage.prompt_tokens + chat.usage.completion_tokens,
            "stream": "".join(event.choices[0].delta.content or "" for event in stream if event.choices),
            "stream_usage": [event.usage.completion_tokens > 0 for event in stream if event.usage],
            "finish": [event.choices[0].finish_reason for event in stream if event.choices][-1],
            "tool": [call.function.name, json.loads(call.function.arguments), first.choices[0].finish_reason],
            "after_tool": second.choices[0].message.content,
            "streamed_tool": [called.function.name, json.loads(called.function.arguments)],
            "parsed": parsed.choices[0].message.parsed.model_dump(),
            "models": [model.id for model in client.models.list()],
            "model": client.models.retrieve("auto").id,
        }
    )
)
