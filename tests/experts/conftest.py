"""Network code of this room is tested under both event loops: asyncio's own, and the uvloop that serves."""

import asyncio
import importlib.util
from collections.abc import Callable, Mapping

import pytest
import uvloop

collect_ignore = [] if importlib.util.find_spec("litellm") else ["test_litellm_served.py"]
BOTH_LOOPS = ("test_http1", "test_openai")


def pytest_asyncio_loop_factories(item: pytest.Item) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    loops = {"asyncio": asyncio.new_event_loop}
    return loops | {"uvloop": uvloop.new_event_loop} if item.path.name.startswith(BOTH_LOOPS) else loops
