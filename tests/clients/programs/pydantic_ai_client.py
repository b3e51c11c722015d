"""Pydantic-ai: an agent over chat and one over Responses, with a tool and a typed result."""

import asyncio
import json
import os

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider


class City(BaseModel):
    """A city."""

    name: str
    population: int


provider = OpenAIProvider(base_url=os.environ["OPENAI_BASE_URL"], api_key=os.environ["OPENAI_API_KEY"])


async def streamed(agent: Agent) -> str:
    """A stream's whole text."""
    async with agent.run_stream("hi") as answer:
        return await answer.get_output()


def seen(kind: type) -> dict:
    """What an agent brings."""
    model = kind("auto", provider=provider)
    with_tool = Agent(model)
    called = []

    @with_tool.tool_plain
    def weather(city: str) -> str:
        """The weather of a city."""
        called.append(city)
        return "sunny"

    return {
        "chat": Agent(model).run_sync("hi").output,
        "stream": asyncio.run(streamed(Agent(model))),
        "tool": [with_tool.run_sync("weather?").output, called],
        "parsed": Agent(model, output_type=City).run_sync("Paris").output.model_dump(),
    }


print(json.dumps({"chat": seen(OpenAIChatModel), "responses": seen(OpenAIResponsesModel)}))
