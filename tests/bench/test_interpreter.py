"""What an interpreter says of its build: flags are read, what is not told stays unknown."""

import platform
import sys

import pytest

from bench.speed.interpreter import UNKNOWN, build, interpreter
from experts.base import SetupError

SAID = {"debian": False, "machine": "x86_64", "arguments": "'--enable-shared'", "flags": "-O3 -Wall"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, "built without PGO and LTO"),
        ({"arguments": "'--enable-optimizations' '--with-lto'"}, "built with PGO and LTO"),
        ({"arguments": "'--enable-optimizations' '--with-lto=thin'"}, "built with PGO and LTO"),
        ({"arguments": "'--enable-optimizations' '--without-lto'"}, "built with PGO"),
        ({"arguments": "'--enable-optimizations' '--with-lto=no'"}, "built with PGO"),
        ({"arguments": "'--with-lto'"}, "built with LTO"),
        ({"flags": "-fprofile-use -fprofile-correction -flto=auto"}, "built with PGO and LTO"),
        ({"arguments": None}, UNKNOWN),
        ({"arguments": None, "debian": True}, "built with PGO and LTO"),
        ({"debian": True, "machine": "riscv64"}, UNKNOWN),
    ],
)
def test_a_build_is_told_by_its_flags(more, expected):
    assert build({**SAID, **more}) == expected


def test_an_interpreter_tells_its_name_version_and_build():
    found = interpreter(sys.executable)
    assert (found["name"], found["version"]) == (platform.python_implementation(), platform.python_version())
    assert found["build"] == UNKNOWN or found["build"].startswith("built with")


@pytest.mark.parametrize("program", ["no-such-python", "true"])
def test_what_is_no_interpreter_is_one_clear_line(program):
    with pytest.raises(SetupError, match=f"{program} is no Python that runs: "):
        interpreter(program)
