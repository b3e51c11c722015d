"""The documentation says what the code does: generated pages are fresh, and README names nothing that is not there."""

import re
import tomllib
from pathlib import Path

import generate
import pytest

from gateway.__main__ import COMMANDS
from gateway.errors import ERRORS

REPOSITORY = Path(__file__).parent.parent
README = (REPOSITORY / "README.md").read_text()
PAGES = {path.name: path.read_text() for path in sorted((REPOSITORY / "docs").glob("*.md"))}
EVERYTHING = "\n".join([README, *PAGES.values()])


@pytest.mark.parametrize("page", ["reference.md", "files.md"])
def test_a_generated_page_is_what_the_code_says_now(page):
    assert PAGES.get(page) == generate.pages()[page], "run `make docs`"


def test_every_address_command_and_metric_is_explained():
    for address, about in generate.routes():
        assert address in EVERYTHING
        assert about, f"the handler of {address} has no sentence on what it does"
    assert [name for name in COMMANDS if f"`lyceum {name}`" not in EVERYTHING] == []
    assert [name for name, *_ in generate.metrics() if name not in EVERYTHING] == []
    assert [code for code in ERRORS if f"`{code}`" not in EVERYTHING] == []


def test_every_header_of_ours_is_explained():
    sent = {
        header
        for path in (REPOSITORY / "gateway").rglob("*.py")
        for header in re.findall(r"x-lyceum-[a-z-]*[a-z]", path.read_text())
    }
    assert [header for header in sorted(sent) if f"`{header}`" not in EVERYTHING] == []


def test_every_module_is_in_the_map():
    for room in generate.ROOMS:
        for path in (REPOSITORY / room).rglob("*.py"):
            assert path.name == "__init__.py" or f"`{path.relative_to(REPOSITORY).as_posix()}`" in PAGES["files.md"]
        assert f"`{room}/`" in README


def test_readme_names_only_files_commands_and_targets_that_exist():
    for name in re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|toml|md|yaml|txt))`", README):
        assert (REPOSITORY / name).exists() or name in MADE_BY_READERS, name
    for command in re.findall(r"(?:^|`)(?:\.venv/bin/)?lyceum ([a-z]+)", README, re.MULTILINE):
        assert command in COMMANDS
    targets = re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE)) <= set(targets)


MADE_BY_READERS = frozenset({"lyceum.toml", "poet.py", "thrift.py", "taste.py"})


def test_the_documents_point_at_each_other_and_nowhere_else_in_this_repository():
    for name, text in {"README.md": README, **{f"docs/{page}": text for page, text in PAGES.items()}}.items():
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert ((REPOSITORY / name).parent / target).exists(), f"{name} points at {target}"


def test_readme_keeps_its_order():
    titles = re.findall(r"^## (.+)$", README, re.MULTILINE)
    assert titles[: len(ORDER)] == ORDER
    assert README.split("\n\n")[1].count(". ") == 0, "one sentence first"


ORDER = [
    "Two commands",
    "Fifteen lines",
    "Clients",
    "Measured",
    "A request's life",
    "The files",
    "Add an expert",
    "Add a router",
    "Add a policy",
    "Dependencies",
]


def test_make_targets_are_one_line_each_and_explained():
    lines = (REPOSITORY / "Makefile").read_text().splitlines()
    assert not [line for line in lines if line.startswith("\t")]
    phony = next(line for line in lines if line.startswith(".PHONY")).split()[1:]
    for target in phony:
        assert [line for line in lines if line.startswith(f"{target}:") and ("## " in line or target == "help")], target


def test_the_changelog_knows_the_version():
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"]
    changes = (REPOSITORY / "CHANGELOG.md").read_text()
    assert f"## [{version}]" in changes or "## [Unreleased]" in changes
