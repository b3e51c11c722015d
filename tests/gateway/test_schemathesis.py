"""Schemathesis reads the document that we serve of ourselves, asks what it allows and forbids, and finds it true."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
import pytest

from tests.gateway.conftest import KEY, make_door, scripted, serving
from tests.gateway.fuzz import Letters

PROGRAM = Path(__file__).parents[2] / ".venv-schemathesis" / "bin" / "st"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


@pytest.mark.timeout(600)
async def test_the_document_is_true_and_nothing_it_allows_brings_an_error_of_ours(tmp_path):
    door = make_door(tmp_path, [scripted("first", "one two three"), scripted("second", "four")])
    door.school.encoder = Letters()
    async with serving(door) as served:
        document = tmp_path / "openapi.json"
        document.write_bytes((await served.http().get("/openapi.json")).content)
        key = f"Authorization: Bearer {KEY}"
        words = ["run", str(document), "--url", served.url, "--header", key, "--checks", CHECKS, "--seed", "7"]
        words += ["--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--workers", "1", "--no-color"]
        assert PROGRAM.exists(), "run `make .venv-schemathesis/done`"
        done = await asyncio.create_subprocess_exec(
            PROGRAM, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=tmp_path
        )
        said, _ = await done.communicate()

    assert done.returncode == 0, said.decode()
    paths = orjson.loads(document.read_bytes())["paths"]
    tested = f"Tested: {sum(map(len, paths.values()))}"
    assert tested in said.decode(), said.decode()
