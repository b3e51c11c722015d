"""Codex, opencode and aider each take one real turn with nothing but our address; `make clients` runs it."""

import json
import platform

import pytest

from experts.scripted import Scripted
from tests.clients.conftest import CARD, REPOSITORY, Client
from tests.clients.conftest import client as client
from tests.gateway.conftest import KEY, make_door, serving

pytestmark = pytest.mark.timeout(300)  # an agent starts slowly on a busy machine

MODULES = REPOSITORY / "tests" / "clients" / "agents" / "node_modules"
ARCHITECTURE = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
OPENCODE = MODULES / f"opencode-{platform.system().lower()}-{ARCHITECTURE}" / "bin" / "opencode"
AIDER = REPOSITORY / ".venv-aider" / "bin" / "aider"
CODEX = """
model = "{model}"
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


async def codex(client, project, model, sandbox):
    """One turn of Codex."""
    home = client.home / ".codex"
    home.mkdir()
    (home / "config.toml").write_text(CODEX.format(url=client.served.url, model=model))
    command = [str(MODULES / ".bin" / "codex"), "exec", "--skip-git-repo-check", "--cd", str(project)]
    return await client.command(*command, "--sandbox", sandbox, "say hi", CODEX_HOME=str(home))


async def test_codex(client, project):
    said = await codex(client, project, "auto", "read-only")
    assert "The tool said" in said, "it ran what the model called, and told it what came of it"
    assert asked(client) >= 2


def patching(request):
    """Adds a file by Codex's free-form tool for patches."""
    if request.messages[-1]["role"] == "tool":
        return f"The tool said: {request.messages[-1]['content']}"
    patch = '*** Begin Patch\n*** Add File: poem.txt\n+The "sea"!\n*** End Patch\n'
    function = {"name": "apply_patch", "arguments": json.dumps({"input": patch})}
    return {"role": "assistant", "tool_calls": [{"index": 0, "id": "c", "type": "function", "function": function}]}


async def test_codex_patches_a_file_with_its_free_form_tool(tmp_path):
    """A model of which Codex knows that it has such a tool; the expert knows nothing but functions."""
    for name in ("home", "project"):
        (tmp_path / name).mkdir()
    async with serving(make_door(tmp_path, [Scripted("gpt-5.5", CARD, answer=patching)])) as served:
        client = Client(served, tmp_path / "home")
        said = await codex(client, tmp_path / "project", "gpt-5.5", "workspace-write")

    assert "The tool said" in said
    assert (tmp_path / "project" / "poem.txt").read_text() == 'The "sea"!\n'


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
