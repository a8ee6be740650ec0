from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements/*.lock"))
PINNED = re.compile(r"^([a-z0-9][a-z0-9._-]*)==([^ ;]+)", re.MULTILINE)


def pinned(name: str) -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for package, version in PINNED.findall((ROOT / "requirements" / f"{name}.lock").read_text()):
        versions.setdefault(package, set()).add(version)
    assert versions
    return versions


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_no_lock_settles_pytorch_s_build_or_where_packages_come_from(lock: Path) -> None:
    assert not {"torch", "triton", "torchvision"} & set(pinned(lock.stem))
    assert not re.search(r"^\s*-|://|@ ", lock.read_text().replace("    --hash=sha256:", ""), re.MULTILINE)


@pytest.mark.parametrize("name", ["cpu", "gpu", "jpeg12", "build"])
def test_what_runs_in_a_hospital_holds_nothing_of_training(name: str) -> None:
    assert not {"transformers", "safetensors", "matplotlib", "scikit-learn", "onnx"} & set(pinned(name))


@pytest.mark.parametrize("name", ["train", "dev"])
def test_training_and_tests_change_no_version_that_the_service_runs_on(name: str) -> None:
    runs, adds = pinned("cpu"), pinned(name)
    assert {package: adds[package] for package in runs.keys() & adds.keys()} == {
        package: runs[package] for package in runs.keys() & adds.keys()
    }


def test_the_tests_train_on_what_users_train_on() -> None:
    trains, tests = pinned("train"), pinned("dev")
    assert {package: tests.get(package) for package in trains} == trains
