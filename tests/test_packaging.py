"""The image and the compose file, as far as they can be checked without an engine."""

import re
import tomllib
from pathlib import Path

import yaml

from experts.build import load
from gateway import config

REPOSITORY = Path(__file__).parent.parent
STAGES = re.split(r"^FROM ", (REPOSITORY / "Dockerfile").read_text(), flags=re.MULTILINE)[1:]
COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())


def test_the_image_is_slim_and_carries_no_build_tools():
    build, final = STAGES
    assert all(stage.startswith("python:3.13-slim") for stage in STAGES)
    assert "requirements/build.txt" in build
    assert not re.search(r"apt|gcc|hatchling|pip install|requirements", final)


def test_the_image_runs_as_a_user_without_rights_and_tells_its_health():
    final = STAGES[-1]
    assert re.findall(r"^USER (\d+)$", final, re.MULTILINE) == ["10001"]
    assert final.index("USER 10001") < final.index("ENTRYPOINT")
    assert "HEALTHCHECK" in final
    assert "/healthz" in final


def test_the_image_installs_wheels_from_the_lock_and_passes_the_gate_before_anything_runs():
    install = STAGES[0]
    for needed in ("--require-hashes", "--only-binary :all:", "-r requirements/default.txt", "requirements/gate.py"):
        assert needed in install
    assert install.index("requirements/gate.py") < install.index("COPY . .")


def test_the_image_gets_what_the_wheel_needs_and_no_state_or_secret():
    allowed = [line[1:] for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    packages = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*packages["packages"], "pyproject.toml", "README.md", "LICENSE", "requirements"} == set(allowed)


def test_compose_asks_for_a_gpu_and_opens_the_door_on_this_machine_alone():
    services = COMPOSE["services"]
    assert services["lyceum"]["ports"] == ["127.0.0.1:8000:8000"]
    assert "ports" not in services["sglang"]
    devices = services["sglang"]["deploy"]["resources"]["reservations"]["devices"]
    assert devices[0]["capabilities"] == ["gpu"]


def test_the_school_in_the_compose_file_is_a_valid_configuration_that_reaches_sglang():
    school = config.of(tomllib.loads(COMPOSE["configs"]["school"]["content"]))
    experts = config.Builder(school).experts()
    config.Builder(school).policies()
    load(school.router["use"], "router.use")
    large = COMPOSE["services"]["sglang"]["command"]
    assert large[large.index("--served-model-name") + 1] == school.experts["large"]["model"]
    assert ":" + large[large.index("--port") + 1] in school.experts["large"]["url"]
    assert set(experts) == {"large", "algebra", "logic"}
