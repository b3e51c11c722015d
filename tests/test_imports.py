"""Importing a room is cheap: what is heavy is imported where it is used, so a command pays for its own needs only."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
ROOMS = ("experts", "routers", "policies", "gateway", "bench")
HEAVY = {"asyncpg", "faiss", "litellm", "matplotlib", "onnx", "onnxruntime", "openai", "pyarrow", "routellm"} | {
    *("safetensors", "sentence_transformers", "sympy", "tokenizers", "torch", "transformers", "xllamacpp", "z3")
}
IMPORT_ALL = """
import importlib, json, pkgutil, sys
room = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    importlib.import_module(module.name)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


def at_import(tree: ast.AST) -> Iterator[str]:
    """The top-level names of what a module imports when it is itself imported."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            yield from (name for other in node.orelse for name in at_import(ast.Module([other], [])))
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            yield from at_import(node)


def name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("room", ROOMS)
def test_importing_every_module_of_a_room_loads_nothing_heavy(room):
    command = [sys.executable, "-c", IMPORT_ALL, room]
    done = subprocess.run(command, cwd=REPOSITORY, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded & HEAVY == set()
    if room == "experts":
        assert "numpy" not in loaded


@pytest.mark.parametrize("path", sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")), ids=name)
def test_no_module_imports_something_heavy_at_its_top(path):
    assert set(at_import(ast.parse(path.read_text()))) & HEAVY == set()


def test_the_reader_of_imports_sees_what_python_would_run():
    source = (
        "import a\nif TYPE_CHECKING:\n    import b\ntry:\n    import c\nexcept E:\n    pass\ndef f():\n    import d\n"
    )
    assert set(at_import(ast.parse(source + "class C:\n    from e.f import g\n"))) == {"a", "c", "e"}
