"""Langchain-openai: chat, stream with usage, tools, structured output."""

import json

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    name: str
    population: int


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return "sunny"


model = ChatOpenAI(model="auto", stream_usage=True, max_retries=0)
pieces = list(model.stream("hi"))
called = model.bind_tools([weather]).invoke("weather?").tool_calls[0]
print(
    json.dumps(
        {
            "chat": model.invoke("hi").content,
            "stream": "".join(piece.content for piece in pieces),
            "stream_usage": any(piece.usage_metadata for piece in pieces),
            "tool": [called["name"], called["args"]],
            "parsed": model.with_structured_output(City, method="json_schema").invoke("Paris").model_dump(),
            "responses": ChatOpenAI(model="auto", use_responses_api=True, max_retries=0).invoke("hi").text,
        }
    )
)
