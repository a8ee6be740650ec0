from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cbir.settings import Settings, unknown_options
from tests.deployment.conftest import ROOT, Composed, docker_compose, filled_in, required_variables

OURS = ("indexer", "worker", "worker-gpu")
WITHOUT_READ_ONLY = frozenset({"orthanc"})


def services(composed: Composed) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from composed["services"].items()


@pytest.mark.parametrize("name", required_variables())
def test_nothing_starts_without_a_secret_and_the_refusal_says_what_to_do(tmp_path: Path, name: str) -> None:
    done = docker_compose("--env-file", str(filled_in(tmp_path, without=name)), "config", "--quiet")
    assert done.returncode != 0
    assert "openssl rand -hex 32" in done.stderr


def test_the_example_environment_holds_no_secret_and_no_variable_that_nobody_reads() -> None:
    assert len(required_variables()) == 10
    compose = (ROOT / "docker-compose.yml").read_text()
    example = (ROOT / ".env.example").read_text()
    names = [line.partition("=")[0] for line in example.splitlines() if line and not line.startswith("#")]
    assert [name for name in names if f"${{{name}" not in compose] == ["COMPOSE_PROFILES"]
    assert "/.env\n" in (ROOT / ".gitignore").read_text()


def test_every_port_is_on_this_machine_only_unless_told_otherwise(composed: Composed) -> None:
    ports = [port for _, service in services(composed) for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(str(port).startswith("127.0.0.1:") for port in ports)


def test_only_orthanc_and_the_indexer_reach_the_outside(composed: Composed) -> None:
    outside = {name for name, network in composed["networks"].items() if not (network or {}).get("internal")}
    reaching = {name for name, service in services(composed) if outside & set(service["networks"])}
    assert reaching == {"orthanc", "indexer"}


def test_orthanc_and_the_indexer_know_each_other_by_one_address(composed: Composed) -> None:
    orthanc, indexer = composed["services"]["orthanc"], composed["services"]["indexer"]
    assert set(orthanc["networks"]) & set(indexer["networks"]) == {"archive"}
    address = indexer["networks"]["archive"]["ipv4_address"]
    assert orthanc["environment"]["CBIR_AE_HOST"] == address


def test_every_container_is_hardened(composed: Composed) -> None:
    for name, service in services(composed):
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert service["user"].split(":")[0] not in ("", "0", "root"), name
        assert service.get("read_only", False) or name in WITHOUT_READ_ONLY, name
        assert service["mem_limit"], name
        assert service["pids_limit"], name
        assert service["stop_grace_period"], name
        assert service["restart"] == "unless-stopped", name
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert not service.get("privileged", False), name


def test_every_image_of_others_has_an_exact_tag(composed: Composed) -> None:
    images = {service["image"] for name, service in services(composed) if name not in OURS}
    assert len(images) == 3
    for image in images:
        assert image.partition(":")[2].count(".") >= 1, image
        assert "latest" not in image


def test_the_qdrant_server_has_the_minor_version_of_the_locked_client(composed: Composed) -> None:
    lock = (ROOT / "requirements" / "cpu.lock").read_text()
    client = lock.split("qdrant-client==")[1].split()[0]
    assert composed["services"]["qdrant"]["image"].startswith(f"qdrant/qdrant:v{client.rpartition('.')[0]}.")


def test_every_file_that_is_mounted_or_built_is_there(composed: Composed) -> None:
    for name, service in services(composed):
        for volume in service.get("volumes", []):
            source, target, mode = volume.split(":")
            if source.startswith("/"):
                assert Path(source).exists(), f"{name} mounts {source}"
                assert mode == "ro", f"{name} may write to {source}"
            else:
                assert source in composed["volumes"], f"{name} mounts {source} on {target}"
        if "build" in service:
            assert (Path(service["build"]["context"]) / service["build"]["dockerfile"]).is_file()


def test_a_worker_is_chosen_by_profile_and_only_one_of_them_wants_a_gpu(composed: Composed) -> None:
    cpu, gpu = composed["services"]["worker"], composed["services"]["worker-gpu"]
    assert (cpu["profiles"], gpu["profiles"]) == (["cpu"], ["gpu"])
    assert (cpu["build"]["args"]["RUNTIME"], gpu["build"]["args"]["RUNTIME"]) == ("cpu", "gpu")
    device = gpu["deploy"]["resources"]["reservations"]["devices"][0]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert "deploy" not in cpu
    assert all("worker" in worker["networks"]["archive"]["aliases"] for worker in (cpu, gpu))


@pytest.mark.parametrize("name", OURS)
def test_our_processes_take_the_settings_that_they_are_given(
    composed: Composed, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    environment = composed["services"][name]["environment"]
    assert unknown_options(environment) == []
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    settings = Settings()
    assert settings.resolved_database_url.startswith("postgresql+psycopg://cbir:")
    if name == "indexer":
        assert settings.workers == 0
        assert settings.inference_url == "http://worker:8091"
        assert [str(caller) for caller in settings.callers] == ["ORTHANC=orthanc:4242"]
    else:
        assert (settings.inference_host, settings.inference_port) == ("0.0.0.0", 8091)  # noqa: S104


def test_indexer_and_worker_share_what_they_must_share(composed: Composed) -> None:
    indexer = composed["services"]["indexer"]["environment"]
    orthanc = composed["services"]["orthanc"]["environment"]
    for worker in ("worker", "worker-gpu"):
        environment = composed["services"][worker]["environment"]
        for variable in ("CBIR_PATIENT_KEY", "CBIR_DATABASE_URL", "CBIR_QDRANT_URL", "CBIR_INFERENCE_TOKEN"):
            assert environment[variable] == indexer[variable]
    assert orthanc["CBIR_PLUGIN_SECRET"] == indexer["CBIR_PLUGIN_SECRET"]
    users = json.loads(orthanc["ORTHANC__REGISTERED_USERS"])
    assert users["cbir"] == indexer["CBIR_ORTHANC_PASSWORD"]
    assert set(users) == {"admin", "cbir"}
    assert "" not in users.values()


def test_orthanc_is_fast_and_finds_its_plugin(composed: Composed) -> None:
    orthanc = composed["services"]["orthanc"]
    environment = orthanc["environment"]
    assert environment["TCP_NODELAY"] == "1"
    assert environment["ORTHANC__HTTP_COMPRESSION_ENABLED"] == "false"
    folder = environment["CBIR_PLUGIN_SCRIPT"].rpartition("/")[0]
    assert f"{ROOT / 'plugin'}:{folder}:ro" in orthanc["volumes"]
    assert (ROOT / "plugin" / environment["CBIR_PLUGIN_SCRIPT"].rpartition("/")[2]).is_file()


def test_orthanc_is_given_every_variable_that_its_configuration_asks_for(composed: Composed) -> None:
    given = composed["services"]["orthanc"]["environment"]
    asked = {
        name
        for line in (ROOT / "orthanc.json").read_text().splitlines()
        if not line.lstrip().startswith("//")
        for name in line.replace(":-", "}").split("${")[1:]
    }
    assert {name.partition("}")[0] for name in asked} <= set(given)
