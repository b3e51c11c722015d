"""Llama-index OpenAILike: chat, stream, tools, structured output."""

import json
import os

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike


def weather(city: str) -> str:
    """The weather of a city."""
    return "sunny"


about = {"api_base": os.environ["OPENAI_BASE_URL"], "api_key": os.environ["OPENAI_API_KEY"], "max_retries": 0}
model = OpenAILike(model="auto", is_chat_model=True, is_function_calling_model=True, **about)
messages = [ChatMessage(role="user", content="hi")]
tool = FunctionTool.from_defaults(fn=weather)
call = model.get_tool_calls_from_response(model.chat_with_tools([tool], user_msg="weather?"))[0]
print(
    json.dumps(
        {
            "chat": model.chat(messages).message.content,
            "stream": "".join(piece.delta for piece in model.stream_chat(messages)),
            "tool": [call.tool_name, call.tool_kwargs],
        }
    )
)
