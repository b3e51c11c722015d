"""How a Python was built: one with profile-guided and link-time optimisation is faster, so a figure names its build."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experts.base import SetupError

SECONDS = 30.0
UNKNOWN = "build unknown"
ASK = """
import json, platform, sys, sysconfig
print(json.dumps({
    "name": platform.python_implementation(),
    "version": platform.python_version(),
    "machine": platform.machine(),
    "debian": "deb_system" in sysconfig.get_scheme_names() and sys.base_prefix == "/usr",
    "arguments": sysconfig.get_config_var("CONFIG_ARGS"),
    "flags": " ".join(str(sysconfig.get_config_var(name)) for name in (
        "PY_CORE_CFLAGS", "PY_CORE_LDFLAGS", "PY_CFLAGS_NODIST", "PY_LDFLAGS_NODIST")),
}))
"""
"""What any interpreter can say of itself, in any environment."""
SIGNS = {
    "PGO": re.compile(r"--enable-optimizations(?!=no)|-fprofile-use"),
    "LTO": re.compile(r"--with-lto(?!=no)|-flto(?!=no)"),
}
DEBIAN = {"x86_64", "aarch64"}
"""Machines for which Debian and Ubuntu optimise theirs; they keep it out of what sysconfig tells (#934771)."""


def interpreter(path: str = sys.executable) -> dict[str, str]:
    """Its implementation, version and build. Raises SetupError if it does not run."""
    try:
        done = subprocess.run(
            [path, "-I", "-c", ASK], capture_output=True, text=True, timeout=SECONDS, check=True, encoding="utf-8"
        )
        said = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise SetupError(f"{Path(path).name} is no Python that runs: {type(error).__name__}") from error
    return {"name": said["name"], "version": said["version"], "build": build(said)}


def build(said: Mapping[str, Any]) -> str:
    """With which optimisations it was built, by what it said; unknown stays unknown."""
    if said["debian"]:
        return "built with PGO and LTO" if said["machine"] in DEBIAN else UNKNOWN
    if not said["arguments"]:
        return UNKNOWN
    words = f"{said['arguments']} {said['flags']}"
    found = [name for name, sign in SIGNS.items() if sign.search(words)]
    return f"built with {' and '.join(found)}" if found else "built without PGO and LTO"
