"""docker-compose.yml: valid, pinned, without a secret, open to this machine alone. test_running.py runs what it says."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import jsonschema
import pytest

from audit.settings import PREFIX, Settings, load_settings
from tests.deployment.compose_file import (
    COMPOSE,
    EXAMPLE,
    OURS,
    ROOT,
    SERVICES,
    interpolate,
    variables_in,
)
from tests.deployment.image_file import IMAGE
from tests.nodes.handle import VERSION

SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|(?<!J)KEY")
FILLED = {**EXAMPLE, "OPENSEARCH_ADMIN_PASSWORD": "An-0ld-password", "TRAILKEEPER_JWT_SECRET": "x" * 64}
"""A .env as somebody would fill it in."""


def test_it_fits_the_compose_specification() -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec" / "compose-spec.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(interpolate(COMPOSE, FILLED))


def test_compose_itself_takes_it(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("needs Docker's Compose plugin (no engine); the schema is checked above without it")
    env = tmp_path / "env"
    env.write_text("".join(f"{name}={value}\n" for name, value in FILLED.items()), "utf-8")
    command = [
        docker,
        "compose",
        "--file",
        ROOT / "docker-compose.yml",
        "--env-file",
        env,
        "config",
        "--format",
        "json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)["services"]
    ours = interpolate(SERVICES, FILLED)
    assert {name: service["environment"] for name, service in ours.items()} == {
        name: service["environment"] for name, service in theirs.items()
    }


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_to_a_whole_version(name: str) -> None:
    assert re.fullmatch(r"[\w/-]+:\d+\.\d+\.\d+", SERVICES[name]["image"])


def test_opensearch_dashboards_and_the_tests_node_are_of_one_version() -> None:
    versions = {service["image"].rpartition(":")[2] for name, service in SERVICES.items() if name not in OURS}
    assert versions == {VERSION}


def test_our_image_has_the_servers_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert {service["image"] for service in OURS.values()} == {f"trailkeeper:{project['version']}"}


def test_each_variable_is_explained_in_the_example_and_none_is_left_over() -> None:
    assert {name for name, _, _ in variables_in(COMPOSE)} == set(EXAMPLE)
    text = (ROOT / ".env.example").read_text("utf-8")
    for name in EXAMPLE:
        block = text.partition(f"\n{name}=")[0].rpartition("\n\n")[2]
        assert block.startswith("#"), f"{name} has no comment above it"


def test_a_secret_has_no_default_and_stops_compose_where_it_is_missing() -> None:
    found = [(name, kind, word) for name, kind, word in variables_in(COMPOSE) if SECRET.search(name)]
    assert {name for name, _, _ in found} == {"OPENSEARCH_ADMIN_PASSWORD", "TRAILKEEPER_JWT_SECRET"}
    assert all(kind == "?" and ".env" in word for _, kind, word in found)
    for name in {name for name, _, _ in found}:
        with pytest.raises(KeyError, match=name):
            interpolate(COMPOSE, {**FILLED, name: ""})


def test_the_example_has_empty_secrets_and_the_defaults_of_everything_else() -> None:
    defaults = {name: word for name, kind, word in variables_in(COMPOSE) if kind == "-"}
    assert {name: "" if SECRET.search(name) else defaults[name] for name in EXAMPLE} == EXAMPLE


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_written_down(name: str) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        if SECRET.search(variable):
            assert re.fullmatch(r"\$\{\w+:\?[^}]+\}", value), variable


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_published_on_loopback_alone(name: str) -> None:
    for port in interpolate(SERVICES[name].get("ports", []), FILLED):
        assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert "network_mode" not in SERVICES[name]


def test_opensearch_is_not_published() -> None:
    assert "ports" not in SERVICES["opensearch"]


def test_security_is_on() -> None:
    for service in SERVICES.values():
        assert not [name for name in service["environment"] if name.startswith("DISABLE_")]
    assert "OPENSEARCH_INITIAL_ADMIN_PASSWORD" in SERVICES["opensearch"]["environment"]


@pytest.mark.parametrize("name", OURS)
def test_every_setting_exists_and_can_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [variable for variable in os.environ if variable.startswith(PREFIX)]:
        monkeypatch.delenv(variable)
    environment = IMAGE.environment | interpolate(OURS[name]["environment"], FILLED)
    ours = {variable: value for variable, value in environment.items() if variable.startswith(PREFIX)}
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    assert set(ours) <= known
    for variable, value in ours.items():
        monkeypatch.setenv(variable, value)
    load_settings()


@pytest.mark.parametrize("name", OURS)
def test_our_services_are_confined(name: str) -> None:
    service = OURS[name]
    confined = {"read_only": True, "cap_drop": ["ALL"], "security_opt": ["no-new-privileges:true"]}
    assert {key: service.get(key) for key in confined} == confined
    assert "privileged" not in service
    assert "mem_limit" in service


@pytest.mark.parametrize("name", OURS)
def test_what_is_written_has_a_place_of_its_own(name: str) -> None:
    """The root file system is read-only: /tmp, and the folder that the image's settings name, are mounted."""
    mounted = [entry.split(":")[0] for entry in OURS[name]["tmpfs"]]
    mounted += [entry.split(":")[1] for entry in OURS[name].get("volumes", [])]
    assert sorted(mounted) == ["/tmp", IMAGE.one("VOLUME")]


def test_no_two_services_share_a_volume() -> None:
    used = [entry.split(":")[0] for service in SERVICES.values() for entry in service.get("volumes", [])]
    assert sorted(used) == sorted(set(used)) == sorted(COMPOSE["volumes"])


def test_what_must_survive_lies_in_a_volume() -> None:
    """Ingest and search acknowledge what they have committed to their spools."""
    for name in ("ingest", "search"):
        assert OURS[name]["volumes"] == [f"{name}-spool:{IMAGE.one('VOLUME')}"]


def test_the_services_wait_for_setup_and_setup_for_opensearch() -> None:
    for name in ("ingest", "search", "lifecycle"):
        assert OURS[name]["depends_on"] == {"setup": {"condition": "service_completed_successfully"}}
    assert OURS["setup"]["depends_on"] == {"opensearch": {"condition": "service_healthy"}}


def test_services_come_back_and_setup_ends() -> None:
    policies = {name: service["restart"] for name, service in SERVICES.items()}
    assert policies.pop("setup") == "no"
    assert set(policies.values()) == {"unless-stopped"}
