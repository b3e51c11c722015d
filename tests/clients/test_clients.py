"""Every client works with nothing but our address: chat, stream, tools, structured output."""

import json
import shutil

import pytest

from tests.clients.conftest import PROGRAMS, REPOSITORY
from tests.gateway.conftest import KEY

CITY = {"name": "Paris", "population": 3}
WEATHER = ["weather", {"city": "Paris"}]


@pytest.mark.parametrize(("environment", "major"), [(".venv-clients", "3"), (".venv-openai2", "2")])
async def test_openai_of_the_newest_two_majors(client, environment, major):
    seen = await client.run("openai_client.py", environment)
    assert seen.pop("version").split(".")[0] == major
    assert seen == {
        "chat": "You said: hi",
        "usage": True,
        "stream": "You said: hi",
        "stream_usage": [True],
        "finish": "stop",
        "tool": [*WEATHER, "tool_calls"],
        "after_tool": "The tool said: sunny",
        "streamed_tool": WEATHER,
        "parsed": CITY,
        "models": ["auto", "performer"],
        "model": "auto",
    }


async def test_langchain(client):
    assert await client.run("langchain_client.py") == {
        "chat": "You said: hi",
        "stream": "You said: hi",
        "stream_usage": True,
        "tool": WEATHER,
        "parsed": CITY,
        "responses": "You said: hi",
    }


async def test_llama_index(client):
    seen = await client.run("llama_index_client.py", ".venv-openai2")
    assert seen == {"chat": "You said: hi", "stream": "You said: hi", "tool": WEATHER}


async def test_instructor(client):
    city = {"city": "Paris", "population": 3}
    assert await client.run("instructor_client.py") == {"tools": city, "json": city}


async def test_pydantic_ai_over_chat_and_over_responses(client):
    seen = {
        "chat": "You said: hi",
        "stream": "You said: hi",
        "tool": ["The tool said: sunny", ["Paris"]],
        "parsed": CITY,
    }
    assert await client.run("pydantic_ai_client.py") == {"chat": seen, "responses": seen}


async def test_openai_agents_over_responses(client):
    assert await client.run("agents_client.py") == {
        "chat": "You said: hi",
        "stream": "You said: hi",
        "events": True,
        "tool": ["The tool said: sunny", ["Paris"]],
        "parsed": CITY,
    }


async def test_anthropic(client):
    assert await client.run("anthropic_client.py") == {
        "chat": "You said: hi",
        "stop": "end_turn",
        "usage": True,
        "stream": ["You said: hi", "end_turn", True],
        "tool": [*WEATHER, "tool_use"],
        "after_tool": "The tool said: sunny",
        "streamed_tool": WEATHER,
        "count": True,
    }


async def test_the_ai_sdk_over_chat_and_over_responses(client):
    node = shutil.which("node")
    assert node is not None, "install Node 20 or later"
    seen = json.loads(await client.command(node, str(PROGRAMS / "ai_sdk.mjs")))
    expected = {
        "chat": "You said: hi",
        "stream": ["You said: hi", "stop", True],
        "tool": ["The tool said: sunny", ["Paris"]],
        "parsed": CITY,
    }
    assert seen == {"chat": expected, "responses": expected}


async def test_the_command_llm(client):
    model = {
        "model_id": "lyceum",
        "model_name": "auto",
        "api_base": f"{client.served.url}/v1",
        "api_key_name": "lyceum",
    }
    (client.home / "extra-openai-models.yaml").write_text(f"- {json.dumps(model | {'supports_schema': True})}\n")
    (client.home / "keys.json").write_text(json.dumps({"lyceum": KEY}))
    llm = str(REPOSITORY / ".venv-clients" / "bin" / "llm")
    here = {"LLM_USER_PATH": str(client.home)}
    assert await client.command(llm, "-m", "lyceum", "--no-stream", "hi", **here) == "You said: hi\n"
    assert await client.command(llm, "-m", "lyceum", "hi", **here) == "You said: hi\n"
    schema = "name str, population int"
    assert json.loads(await client.command(llm, "-m", "lyceum", "--schema", schema, "Paris", **here)) == CITY
