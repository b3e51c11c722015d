"""Refuses an environment or a lock file with which a dependency could run code that nobody asked for.

Runs before the environment is first used, by a Python outside it: `python3 -I requirements/gate.py .venv`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

KNOWN_HOOKS = {
    "a1_coverage.pth": 'coverage.process_startup(slug="pth")\')',
    "distutils-precedence.pth": "enabled and __import__('_distutils_hack').add_shim();",
}
"""Lines that run at every start of Python and that we have read: coverage's own, and the setuptools of Python 3.11."""

KNOWN_PLUGINS = frozenset(
    {
        "anyio",
        "hypothesis",
        "langsmith",
        "platformdirs",
        "pytest-asyncio",
        "pytest-cov",
        "pytest-timeout",
        "pytest-xdist",
        "schemathesis",
        "sybil",
    }
)
"""Distributions that may load themselves into pytest. langsmith and schemathesis are only in environments where our
tests do not run."""

SHADOWED = re.compile(r"(python|pip|uv|make|git|bash|sh|zsh|ls|curl|wget|ssh|sudo|docker)[\d.]*(\.exe)?")
"""Commands that only their owners may install."""

OWNERS = frozenset({"pip", "uv"})

POISONED = {"litellm": re.compile(r"1\.82\.[78]|1\.107\.")}
"""Releases that carried malware."""

REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*)==(?P<version>[\w.+!]+)(?: ; .*)?")
COOLED = re.compile(r"^#.*--exclude-newer \d{4}-\d\d-\d\d", re.MULTILINE)
NEIGHBOURS = frozenset({"httpx"})
"""Names that we have read and that are right, though one letter from another's."""


def environment(folder: Path) -> Iterator[str]:
    """What is wrong with an installed environment, one line each."""
    for site in sorted({path.resolve() for path in folder.glob("lib*/python*/site-packages")}):
        yield from hooks(site)
        for entry_points in sorted(site.glob("*.dist-info/entry_points.txt")):
            yield from entries(entry_points)


def hooks(site: Path) -> Iterator[str]:
    """Files that Python runs at its start."""
    for path in sorted(site.iterdir()):
        if path.name.split(".")[0] in ("sitecustomize", "usercustomize"):
            yield f"{path.name}: runs at every start of Python"
        if path.suffix == ".pth":
            yield from startup_lines(path)


def startup_lines(path: Path) -> Iterator[str]:
    """The lines of a .pth file that are neither this repository's folder nor a known hook."""
    known = KNOWN_HOOKS.get(path.name)
    for line in path.read_text(errors="replace").splitlines():
        code = line.strip()
        if code and code != str(REPOSITORY) and not (known and code.endswith(known)):
            yield f"{path.name}: runs or adds {code[:60]!r} at every start of Python"


def entries(path: Path) -> Iterator[str]:
    """Entry points that load themselves, or that shadow a command."""
    owner = canonical(path.parent.name.split("-")[0])
    section = ""
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("["):
            section = line.strip("[] ")
        elif "=" in line:
            name = line.split("=")[0].strip()
            if section == "pytest11" and owner not in KNOWN_PLUGINS:
                yield f"{owner}: loads itself into pytest as {name}"
            if section == "console_scripts" and SHADOWED.fullmatch(name) and owner not in OWNERS:
                yield f"{owner}: installs the command {name}"


def lock(text: str, expected: frozenset[str] = frozenset()) -> Iterator[str]:
    """What is wrong with a lock file. `expected`: names that a misspelt one must not resemble."""
    if "://" in text or " @ " in text:
        yield "names an address"
    if "uv pip compile" in text and not COOLED.search(text):
        yield "was locked without a cooldown"
    for entry in re.split(r"\n(?=[^\s#])", "\n" + re.sub(r"^\s*#.*\n?", "", text, flags=re.MULTILINE)):
        if entry.strip():
            yield from requirement(entry.strip(), expected)


def requirement(entry: str, expected: frozenset[str]) -> Iterator[str]:
    """What is wrong with one entry of a lock file."""
    head, *rest = re.split(r"\s*\\\n\s*", entry)
    match = REQUIREMENT.fullmatch(head)
    if match is None:
        yield f"{head[:60]!r} is not pinned with =="
        return
    name, version = canonical(match["name"]), match["version"]
    if not rest or not all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", line) for line in rest):
        yield f"{name} has no hash, or something beside its hashes"
    if name in POISONED and POISONED[name].match(version):
        yield f"{name} {version} carried malware"
    if name not in expected | NEIGHBOURS:
        yield from (f"{name} looks like {other}, misspelt" for other in sorted(expected) if misspelt(name, other))


def misspelt(name: str, other: str) -> bool:
    """Whether one letter more, less, changed or moved makes the one name of the other."""
    return not _shortened(name).isdisjoint(_shortened(other))


def _shortened(name: str) -> set[str]:
    return {name, *(name[:i] + name[i + 1 :] for i in range(len(name)))}


def canonical(name: str) -> str:
    """A distribution's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def main(folders: list[str]) -> int:
    """Prints what is wrong with the environments; returns 1 if anything is."""
    problems = [problem for folder in folders for problem in environment(Path(folder))]
    for problem in problems:
        sys.stderr.write(f"gate: {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
