"""The house rules that no linter knows: small files, small functions, plain names, reasons beside every exception."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parent.parent
ROOMS = ("gateway", "bench", "policies", "routers", "experts")
MODULES = sorted(
    path
    for folder in (*ROOMS, "tests", "docs", "requirements")
    for path in (REPOSITORY / folder).rglob("*.py")
    if "__pycache__" not in path.parts and (path.stat().st_size or not path.is_relative_to(REPOSITORY / "tests"))
)
PRODUCT = [path for path in MODULES if path.relative_to(REPOSITORY).parts[0] in ROOMS]

FILE_LINES = 300
FUNCTION_LINES = 50
NOWHERE_NAMES = {"utils", "util", "common", "core", "helpers", "misc", "lib", "shared"}
PROTOCOL_NAMES = re.compile(r"http1(_\w+)?")
"""HTTP/1 is the protocol's own name; every other number at the end of a name is a version."""


def name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def functions(source: str) -> Iterator[tuple[str, int]]:
    """Each function and its length in lines, decorators and docstring not counted."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body = node.body[1:] if ast.get_docstring(node) and len(node.body) > 1 else node.body
            yield node.name, (node.end_lineno or 0) - body[0].lineno + 2


def opening(source: str) -> str:
    """The first paragraph of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(source)) or ""
    return " ".join(text.partition("\n\n")[0].split())


def comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def unexplained(comment: str) -> bool:
    """Whether a comment switches a checker off without saying which rule and why."""
    if "type: ignore" in comment:
        return not re.search(r"type: ignore\[[\w, -]+\]\s*#\s*\w+", comment)
    if re.search(r"#\s*noqa", comment):
        return not re.search(r"noqa: ?[A-Z]+\d+\b(?:, ?[A-Z]+\d+\b)*\s*[#:(-]?\s*\w+", comment)
    if "pragma: no cover" in comment:
        return not re.search(r"no cover\s*[#:(-]+\s*\w+", comment)
    return False


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_file_fits_in_the_head(path):
    source = path.read_text()
    assert source.count("\n") < FILE_LINES
    assert [(function, lines) for function, lines in functions(source) if lines >= FUNCTION_LINES] == []


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_opens_with_a_sentence_on_what_it_is_for(path):
    first = opening(path.read_text())
    assert re.match(r"[A-Z`0-9]", first), "begin with a capital"
    assert first.endswith((".", ":")), "end the sentence"
    assert len(first.split()) >= 4, "say what it is for"


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_is_postponed_and_no_checker_is_silenced_without_a_reason(path):
    for line, comment in comments(path.read_text()):
        assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", comment), f"line {line}: {comment}"
        assert not unexplained(comment), f"line {line}: {comment}"


@pytest.mark.parametrize("path", PRODUCT, ids=name)
def test_a_name_says_what_it_holds_and_no_version(path):
    for part in (*path.relative_to(REPOSITORY).parent.parts, path.stem):
        assert part not in NOWHERE_NAMES
        assert PROTOCOL_NAMES.fullmatch(part) or not re.search(r"(_v|_)?\d+$", part)


def test_the_rooms_are_five_and_every_python_folder_belongs_to_one():
    packages = {path.relative_to(REPOSITORY).parts[0] for path in REPOSITORY.glob("*/__init__.py")}
    assert packages - {"tests"} == set(ROOMS)


def test_the_rules_bite():
    long = "def long():\n" + "    pass\n" * FUNCTION_LINES
    assert max(lines for _, lines in functions(long)) >= FUNCTION_LINES
    assert opening('"""what is this"""') == "what is this"
    assert unexplained("# type: ignore")
    assert unexplained("# type: ignore[arg-type]")
    assert not unexplained("# type: ignore[arg-type]  # the library's stub is wrong")
    assert unexplained("# noqa")
    assert unexplained("# noqa: BLE001")
    assert not unexplained("# noqa: BLE001 the one marked boundary")
