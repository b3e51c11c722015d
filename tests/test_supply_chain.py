"""Installed is what was locked, nothing runs that nobody asked for, every dependency earns its place (row 68)."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import gate
import lock
import pytest

REPOSITORY = Path(__file__).parent.parent
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
ROOMS = ("gateway", "bench", "policies", "routers", "experts")
LOCKS = sorted((REPOSITORY / "requirements").glob("*.txt"))
FULL_LOCKS = [path for path in LOCKS if path.stem in lock.LOCKS]
UNIMPORTED = {
    "httptools": "uvicorn reads HTTP with it",
    "uvloop": "uvicorn runs on it",
}
"""Dependencies that no module of ours imports by name, and who does."""

CLIENTS = ("aider", "clients", "clients-openai2", "schemathesis")
"""Groups that are installed in environments of their own."""

DISTRIBUTIONS = packages_distributions()
HASH = "--hash=sha256:" + "0" * 64


def names(requirements: list[str]) -> frozenset[str]:
    return frozenset(gate.canonical(re.split(r"[<>=!~ \[]", item)[0]) for item in requirements)


DIRECT = names(PROJECT["project"]["dependencies"])
EXTRAS = {name: names(items) for name, items in PROJECT["project"]["optional-dependencies"].items()}
TOOLS = names([item for group in PROJECT["dependency-groups"].values() for item in group if isinstance(item, str)])
EXPECTED = DIRECT.union(TOOLS, *EXTRAS.values())


def pins(path: Path) -> set[str]:
    """The distributions that a lock file names."""
    return {gate.canonical(name) for name in re.findall(r"^([\w.-]+)==", path.read_text(), re.MULTILINE)}


def imports() -> Iterator[str]:
    """Every top-level name that the rooms import, wherever in a module."""
    for path in (path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module.partition(".")[0]


def distribution_of(module: str) -> str:
    """The distribution that a module comes from: what is not installed (an extra) is named as it is imported."""
    return gate.canonical(DISTRIBUTIONS.get(module, [module])[0])


def reasons() -> dict[str, str]:
    """The dependencies that README explains, in tables whose first column is the name."""
    rows = re.findall(r"^\| `([\w.-]+)` \|(.+)\|$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    return {gate.canonical(name): reason for name, reason in rows}


def test_nothing_in_this_environment_runs_by_itself():
    assert list(gate.environment(Path(sys.prefix))) == []


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.stem)
def test_a_lock_pins_everything_with_hashes_and_names_no_address(path):
    text = path.read_text()
    if path.stem == "constraints":
        assert "://" not in text
    else:
        assert list(gate.lock(text, EXPECTED)) == []


@pytest.mark.parametrize("path", FULL_LOCKS, ids=lambda path: path.stem)
def test_a_locked_release_had_two_weeks_to_be_found_out(path):
    newest = re.findall(r"--exclude-newer (\S+)", path.read_text())
    written = datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
    assert [written - date.fromisoformat(day) >= lock.COOLDOWN for day in newest] == [True]


def test_every_extra_has_a_lock_and_every_lock_a_purpose():
    assert {path.stem for path in LOCKS} == {*lock.LOCKS, *lock.CPU, "constraints"}
    assert set(EXTRAS) <= set(lock.LOCKS)
    for extra, needed in EXTRAS.items():
        assert needed <= pins(REPOSITORY / "requirements" / f"{extra}.txt")


def test_the_locks_hold_what_the_project_asks_for_and_agree_with_each_other():
    default, dev = (pins(REPOSITORY / "requirements" / name) for name in ("default.txt", "dev.txt"))
    assert DIRECT <= default <= dev
    groups = PROJECT["dependency-groups"]
    for name in groups:
        lock_name = name if name in CLIENTS else "dev"
        needed = names([item for item in groups[name] if isinstance(item, str)])
        assert needed <= pins(REPOSITORY / "requirements" / f"{lock_name}.txt")


def test_the_default_install_has_neither_torch_nor_litellm():
    heavy = {"torch", "transformers", "litellm", "openai", "asyncpg", "routellm", "sentence-transformers"}
    assert pins(REPOSITORY / "requirements" / "default.txt") & heavy == set()


def test_this_suite_runs_without_litellm():
    assert "litellm" not in {gate.canonical(found.name) for found in distributions()}


def test_every_dependency_is_used_and_every_import_is_a_dependency():
    outside = {distribution_of(name) for name in set(imports()) - set(sys.stdlib_module_names) - set(ROOMS)}
    assert outside <= DIRECT.union(*EXTRAS.values())
    assert DIRECT - outside - set(UNIMPORTED) == set()


def test_readme_gives_the_reason_for_every_dependency():
    given = reasons()
    assert DIRECT.union(*EXTRAS.values()) - set(given) == set()
    assert all(len(given[name].split()) >= 4 for name in DIRECT)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cook.pth", "import os; os.system('true')"),
        ("paths.pth", "/somewhere/else"),
        ("a1_coverage.pth", "import os; exec(os.environ['X'])"),
        ("sitecustomize.py", ""),
        ("usercustomize.cpython-311-x86_64-linux-gnu.so", ""),
        ("helpful-1.0.dist-info/entry_points.txt", "[pytest11]\nhelpful = helpful.plugin\n"),
        ("helpful-1.0.dist-info/entry_points.txt", "[console_scripts]\npython3 = helpful:main\n"),
    ],
)
def test_the_gate_stops_what_would_run_by_itself(tmp_path, name, content):
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    planted = site / name
    planted.parent.mkdir(parents=True)
    assert list(gate.environment(tmp_path)) == []
    planted.write_text(content)
    assert len(list(gate.environment(tmp_path))) == 1
    assert gate.main([str(tmp_path)]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "numpy>=2 \\\n    " + HASH,
        "numpy==2.4.6",
        "numpy==2.4.6 \\\n    --hash=md5:0123",
        "numpi==2.4.6 \\\n    " + HASH,
        "litellm==1.107.0 \\\n    " + HASH,
        "litellm==1.82.8 \\\n    " + HASH,
        "--index-url=elsewhere\nnumpy==2.4.6 \\\n    " + HASH,
        "numpy @ file:///elsewhere/numpy.whl",
        "#    uv pip compile pyproject.toml --upgrade\nnumpy==2.4.6 \\\n    " + HASH,
    ],
)
def test_the_gate_stops_a_lock_that_could_bring_something_else(text):
    good = (
        "# locked\nnumpy==2.4.6 ; python_full_version < '3.12' \\\n    " + HASH + " \\\n    " + HASH + "\n    # via x\n"
    )
    assert list(gate.lock(good, frozenset({"numpy"}))) == []
    assert len(list(gate.lock(text, frozenset({"numpy", "litellm"})))) >= 1
