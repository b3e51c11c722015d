"""Openai-agents: an agent with a tool over Responses, its default, plain and streamed."""

import asyncio
import json

from agents import Agent, Runner, function_tool, set_tracing_disabled
from pydantic import BaseModel

set_tracing_disabled(True)
called = []


class City(BaseModel):
    """A city."""

    name: str
    population: int


@function_tool
def weather(city: str) -> str:
    """The weather of a city."""
    called.append(city)
    return "sunny"


async def main() -> None:
    """Prints what an agent brings."""
    plain = Agent(name="plain", model="auto", instructions="Be brief.")
    streamed = Runner.run_streamed(plain, "hi")
    kinds = [event.type async for event in streamed.stream_events()]
    with_tool = Agent(name="tools", model="auto", tools=[weather])
    typed = Agent(name="typed", model="auto", output_type=City)
    print(
        json.dumps(
            {
                "chat": (await Runner.run(plain, "hi")).final_output,
                "stream": streamed.final_output,
                "events": len(kinds) > 3,
                "tool": [(await Runner.run(with_tool, "weather?")).final_output, called],
                "parsed": (await Runner.run(typed, "Paris")).final_output.model_dump(),
            }
        )
    )


asyncio.run(main())
