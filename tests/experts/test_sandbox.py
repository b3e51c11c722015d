"""The sandbox against code that is endless, greedy or hostile: real processes, real limits."""

import asyncio
import os
import signal
import sys

import pytest

from experts.base import SetupError
from experts.sandbox import MEBIBYTE, Limits, Sandbox, run_python

LIMITS = Limits(seconds=1, memory_bytes=128 * MEBIBYTE, result_bytes=10_000)


@pytest.fixture
async def sandbox():
    box = Sandbox("experts.sandbox:run_python", LIMITS)
    yield box
    await box.stop()


async def run(sandbox, source, *tests):
    return await sandbox.run({"source": source, "tests": list(tests)})


async def error_of(sandbox, source):
    """The error with which a source that must not work ends."""
    result = await run(sandbox, source, "True")
    return result.error or result.value["errors"][0]


async def test_each_unit_test_is_counted(sandbox):
    result = await run(sandbox, "def inc(x): return x + 1", "inc(1) == 2", "inc(1) == 3", "inc('a')", "dec(1)")
    assert result.value == {"passed": 1, "total": 4, "errors": [None, "AssertionError", "TypeError", "NameError"]}
    assert result.error is None
    assert 0 < result.cpu_seconds < 1


async def test_source_that_does_not_compile_passes_nothing(sandbox):
    result = await run(sandbox, "def (", "True", "True")
    assert result.value == {"passed": 0, "total": 2, "errors": ["SyntaxError"] * 2}


async def test_an_endless_loop_ends_by_the_limit_of_cpu_seconds(sandbox):
    result = await run(sandbox, "while True: pass")
    assert result.error == "timeout"
    assert result.cpu_seconds > 0.5


async def test_a_sleeper_ends_by_the_clock(sandbox):
    assert await error_of(sandbox, "import time\ntime.sleep(1000)") == "timeout"


async def test_a_loop_that_swallows_every_exception_ends_too(sandbox):
    source = "while True:\n  try:\n    while True: pass\n  except BaseException: pass"
    assert await error_of(sandbox, source) == "timeout"


async def test_a_memory_bomb_is_refused(sandbox):
    assert await error_of(sandbox, "x = 'a' * (1 << 40)") == "MemoryError"
    assert await error_of(sandbox, "x = []\nwhile True: x.append(bytearray(1 << 20))") == "MemoryError"


async def test_a_deep_recursion_is_an_error_of_the_source(sandbox):
    assert await error_of(sandbox, "def f(): return f()\nf()") == "RecursionError"


async def test_output_that_is_huge_harms_nobody(sandbox):
    result = await run(sandbox, "import os\nprint('a' * 10**7)\nos.write(2, b'a' * 10**6)", "True")
    assert result.value["passed"] == 1
    assert await error_of(sandbox, "import os\nos.write(3, b'a' * 10**7)") == "too_large"


async def test_a_result_over_its_cap_is_an_error():
    box = Sandbox("json:loads", Limits(seconds=5, result_bytes=100))
    try:
        assert (await box.run(f'"{"a" * 1000}"')).error == "too_large"
        assert (await box.run('{"a": [1, null]}')).value == {"a": [1, None]}
        assert (await box.run("{")).error == "JSONDecodeError"
    finally:
        await box.stop()


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.fork()",
        "import os\nwhile True: os.fork()",
        "import subprocess\nsubprocess.run(['true'])",
        "import os\nos.execv('/bin/true', ['true'])",
        "import threading\nthreading.Thread(target=print).start()",
        "import socket\nsocket.socket()",
        "import socket\nsocket.create_connection(('127.0.0.1', 80))",
        "import os\nos.kill(os.getppid(), 9)",
        "import os\nos.kill(-1, 9)",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    ],
)
async def test_processes_threads_programs_sockets_and_signals_are_refused(sandbox, source):
    pid = await warm(sandbox)
    assert await error_of(sandbox, source) in ("PermissionError", "RuntimeError", "ValueError", "BlockingIOError")
    assert sandbox.pid == pid


async def warm(sandbox):
    await sandbox.start()
    return sandbox.pid


async def test_no_file_can_be_written_and_none_of_the_users_read(sandbox, tmp_path):
    secret = tmp_path / "key"
    secret.write_text("secret")
    assert await error_of(sandbox, f"open({str(secret)!r})") == "PermissionError"
    assert await error_of(sandbox, f"open({str(secret)!r}, 'w')") == "PermissionError"
    assert await error_of(sandbox, f"import os\nos.remove({str(secret)!r})") == "PermissionError"
    assert await error_of(sandbox, "open('here', 'w').write('a')") == "PermissionError"
    assert secret.read_text() == "secret"


async def test_a_task_sees_an_empty_folder_and_no_environment_of_the_parent(sandbox, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "secret")
    result = await run(sandbox, "import os", "os.listdir('.') == []", "not any('KEY' in key for key in os.environ)")
    assert result.value["passed"] == 2


async def test_a_task_inherits_no_open_file(sandbox):
    source = "import os\ndef open_(n):\n  try: os.fstat(n)\n  except OSError: return False\n  return True"
    result = await run(sandbox, source, "[n for n in range(64) if open_(n)] == [0, 1, 2, 3]")
    assert result.value["passed"] == 1


async def test_a_task_that_leaves_early_or_dies_is_a_crash(sandbox):
    assert await error_of(sandbox, "import os\nos._exit(0)") == "crashed"
    assert await error_of(sandbox, "import os\nos.abort()") == "crashed"
    assert await error_of(sandbox, "import sys\nsys.exit()") == "SystemExit"


async def test_tasks_do_not_see_each_other(sandbox):
    await run(sandbox, "import json\njson.leak = 1", "True")
    assert (await run(sandbox, "import json", "not hasattr(json, 'leak')")).value["passed"] == 1


async def test_many_tasks_run_side_by_side_and_each_gets_its_own_result(sandbox):
    async def one(number):
        result = await run(sandbox, f"x = {number}", f"x == {number}", "x == -1")
        return result.value["passed"]

    assert await asyncio.gather(*map(one, range(20))) == [1] * 20


async def test_a_killed_warm_process_is_replaced(sandbox):
    first = await warm(sandbox)
    waiting = asyncio.create_task(run(sandbox, "import time\ntime.sleep(1000)"))
    await asyncio.sleep(0.2)
    os.kill(first, signal.SIGKILL)
    assert (await waiting).error == "crashed"
    assert (await run(sandbox, "x = 1", "x == 1")).value["passed"] == 1
    assert sandbox.pid != first


async def test_a_cancelled_run_ends_its_task_and_spares_the_warm_process(sandbox):
    pid = await warm(sandbox)
    waiting = asyncio.create_task(run(sandbox, "while True: pass"))
    await asyncio.sleep(0.2)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await run(sandbox, "x = 1", "x == 1")).value["passed"] == 1
    assert sandbox.pid == pid


async def test_stop_ends_the_warm_process_and_may_be_called_twice(sandbox):
    pid = await warm(sandbox)
    await sandbox.start()
    assert sandbox.pid == pid
    await sandbox.stop()
    await sandbox.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert sandbox.pid is None


async def test_stop_ends_what_still_runs(sandbox):
    await warm(sandbox)
    waiting = asyncio.create_task(run(sandbox, "while True: pass"))
    await asyncio.sleep(0.2)
    await sandbox.stop()
    assert (await waiting).error == "crashed"


async def test_the_warm_process_dies_with_its_parent():
    source = (
        "import asyncio, os\nfrom experts.sandbox import Sandbox\n"
        "async def main():\n  box = Sandbox('json:loads')\n  await box.start()\n  print(box.pid, flush=True)\n"
        "  os.kill(os.getpid(), 9)\nasyncio.run(main())"
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", source, stdout=asyncio.subprocess.PIPE)
    out, _ = await parent.communicate()
    pid = int(out)
    for _ in range(100):
        if not alive(pid):
            break
        await asyncio.sleep(0.05)
    assert not alive(pid)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_a_function_that_cannot_be_imported_is_the_operators_to_mend():
    box = Sandbox("experts.no_such_module:function")
    with pytest.raises(SetupError, match=r"experts\.no_such_module:function: cannot start: ModuleNotFoundError"):
        await box.run(1)
    await box.stop()


def test_running_python_needs_no_sandbox_to_count():
    assert run_python({"source": "x = 1", "tests": ["x == 1", "x"]})["passed"] == 2
    assert run_python({"source": "raise SystemExit", "tests": ["1"]})["errors"] == ["SystemExit"]
