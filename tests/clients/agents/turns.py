"""Codex, opencode and aider each take one real turn with nothing but our address; `make clients` runs it."""

import json
import platform

import pytest

from tests.clients.conftest import REPOSITORY
from tests.clients.conftest import client as client
from tests.gateway.conftest import KEY

MODULES = REPOSITORY / "tests" / "clients" / "agents" / "node_modules"
ARCHITECTURE = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
OPENCODE = MODULES / f"opencode-{platform.system().lower()}-{ARCHITECTURE}" / "bin" / "opencode"
AIDER = REPOSITORY / ".venv-aider" / "bin" / "aider"
CODEX = """
model = "auto"
model_provider = "lyceum"
[model_providers.lyceum]
name = "lyceum"
base_url = "{url}/v1"
env_key = "OPENAI_API_KEY"
wire_api = "responses"
"""


@pytest.fixture
def project(client):
    """A folder to work in, under version control as the agents want it."""
    folder = client.home / "project"
    folder.mkdir()
    return folder


async def test_codex(client, project):
    home = client.home / ".codex"
    home.mkdir()
    (home / "config.toml").write_text(CODEX.format(url=client.served.url))
    command = [
        str(MODULES / ".bin" / "codex"),
        "exec",
        "--skip-git-repo-check",
        "--cd",
        str(project),
        "--sandbox",
        "read-only",
    ]
    said = await client.command(*command, "say hi", CODEX_HOME=str(home))
    assert "The tool said" in said, "it ran what the model called, and told it what came of it"
    assert asked(client) >= 2


async def test_opencode(client, project):
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "lyceum",
        "options": {"baseURL": f"{client.served.url}/v1", "apiKey": KEY},
        "models": {"auto": {"name": "auto"}},
    }
    config = {
        "model": "lyceum/auto",
        "small_model": "lyceum/auto",
        "provider": {"lyceum": provider},
        "autoupdate": False,
    }
    (project / "opencode.json").write_text(json.dumps(config))
    command = [str(OPENCODE), "run", "--dir", str(project), "say hi"]
    said = await client.command(*command, OPENCODE_DISABLE_MODELS_FETCH="1")
    assert said.strip()
    assert asked(client) >= 2, "a turn and its title"


async def test_aider(client, project):
    options = ["--model", "openai/auto", "--analytics-disable", "--no-check-update", "--no-git", "--yes-always"]
    options += ["--no-show-model-warnings", "--no-pretty", "--no-gitignore", "--edit-format", "ask"]
    said = await client.command("sh", "-c", 'cd "$0" && exec "$@"', str(project), str(AIDER), *options, "-m", "say hi")
    assert "say hi" in said
    assert asked(client) >= 1


def asked(client):
    """How many requests were answered, by the ledger."""
    return len([row for row in client.served.ledger("outcomes") if row["kind"] == "answer"])
