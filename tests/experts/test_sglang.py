"""What SGLang does differently, from the traffic of a running server: adapters, names that it does not check."""

import orjson
import pytest

from experts.base import Request, SetupError
from experts.build import build
from experts.sglang import SGLangExpert
from tests.experts.openai_server import WHOLE
from tests.experts.raw import Server, Talk, answer, serving

MODELS = {
    "object": "list",
    "data": [
        {"id": "Qwen/Qwen3-8B", "object": "model", "root": "Qwen/Qwen3-8B", "parent": None, "max_model_len": 4096},
        {"id": "law", "object": "model", "root": "law", "parent": "Qwen/Qwen3-8B"},
    ],
}


async def sglang(talk: Talk) -> None:
    while True:
        head, body = await talk.request()
        if head.startswith(b"GET /v1/models "):
            await talk.say(answer(orjson.dumps(MODELS)))
        else:
            said = {"role": "assistant", "content": orjson.loads(body)["model"]}
            choices = [{"index": 0, "message": said, "finish_reason": "stop"}]
            await talk.say(answer(orjson.dumps({**WHOLE, "choices": choices})))


def expert_of(server: Server, **options: object) -> SGLangExpert:
    table = {"use": "experts.sglang:SGLangExpert", "url": server.url + "/v1", "model": "Qwen/Qwen3-8B", **options}
    expert = build(table, "experts.a", {"name": "a"})
    assert isinstance(expert, SGLangExpert)
    return expert


@pytest.mark.parametrize(("adapter", "served"), [(None, "Qwen/Qwen3-8B"), ("law", "Qwen/Qwen3-8B:law")])
async def test_an_adapter_is_asked_for_by_its_full_name(adapter, served):
    async with serving(sglang) as server:
        expert = expert_of(server, **({"adapter": adapter} if adapter else {}))
        await expert.start()
        (chunk,) = [chunk async for chunk in expert.stream(Request(({"role": "user", "content": "x"},)))]
        assert chunk.delta["content"] == served
        await expert.stop()


@pytest.mark.parametrize(("key", "value"), [("adapter", "lore"), ("model", "Qwen/Qwen3-8")])
async def test_a_name_that_the_server_does_not_have_is_told_at_start(key, value):
    async with serving(sglang) as server:
        expert = expert_of(server, **{key: value})
        with pytest.raises(
            SetupError, match=rf"experts\.a\.{key}: the server has no '{value}'; it has Qwen/Qwen3-8B, law"
        ):
            await expert.start()
        await expert.stop()


async def nothing(talk: Talk) -> None:
    await talk.request()


async def nonsense(talk: Talk) -> None:
    await talk.request()
    await talk.say(answer(b'{"data": [7]}'))


@pytest.mark.parametrize("handler", [nothing, nonsense])
async def test_a_server_that_is_not_up_yet_is_no_mistake(handler):
    async with serving(handler) as server:
        expert = expert_of(server, adapter="law")
        await expert.start()
        await expert.stop()


async def test_the_rest_of_a_broken_answer_is_asked_for_with_what_was_said():
    async with serving(sglang) as server:
        request = Request(({"role": "user", "content": "count"},), {"stream": True, "seed": 7})
        rest = expert_of(server).continuation(request, "1, 2,")
    assert rest is not None
    assert rest.messages[-1] == {"role": "assistant", "content": "1, 2,"}
    assert rest.options == {"stream": True, "seed": 7, "continue_final_message": True}
