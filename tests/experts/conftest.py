"""Network code of this room is tested under both event loops: asyncio's own and the uvloop that serves."""

import asyncio

import uvloop

BOTH_LOOPS = ("test_http1", "test_openai")


def pytest_asyncio_loop_factories(config, item):
    if item.path.name.startswith(BOTH_LOOPS):
        return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
    return None
