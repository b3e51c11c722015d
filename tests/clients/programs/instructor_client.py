"""Instructor: structured output through a forced tool and through JSON."""

import json

import instructor
import openai
from pydantic import BaseModel


class City(BaseModel):
    """A city."""

    city: str
    population: int


def ask(mode: instructor.Mode) -> dict:
    """A city that the model describes."""
    client = instructor.from_openai(openai.OpenAI(max_retries=0), mode=mode)
    messages = [{"role": "user", "content": "Paris"}]
    return client.chat.completions.create(
        model="auto", messages=messages, response_model=City, max_retries=0
    ).model_dump()


print(json.dumps({"tools": ask(instructor.Mode.TOOLS), "json": ask(instructor.Mode.JSON)}))
