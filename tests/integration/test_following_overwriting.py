"""An archive that overwrites what is sent again: gone and new under the same names, and never lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Programs
from tests.integration.followed import Followed, followed, series_ids, study_of, with_other_pixels

pytestmark = pytest.mark.orthanc


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Followed]:
    with followed(tmp_path_factory.mktemp("house"), programs, overwrite_instances=True) as running:
        yield running


@pytest.mark.parametrize("family", ["chest-cr", "brain-mr"])
def test_instances_sent_again_with_other_pixels_are_embedded_again(
    house: Followed, tmp_path: Path, family: str
) -> None:
    """A series of one instance is deleted and new; one of several only grows and shrinks."""
    study = study_of(family, tmp_path / "study")
    house.send(study.paths)
    before = house.auditor.writings()
    house.send(with_other_pixels(study.paths, tmp_path / "turned"))
    house.auditor.agree()
    after = house.auditor.writings()
    for archive_id in series_ids(study.paths):
        assert after[archive_id] > before[archive_id]


def test_they_are_embedded_again_when_every_hint_is_lost(house: Followed, tmp_path: Path) -> None:
    """They came while the service was down, and then the outbox and the log went too."""
    study = study_of("spine-mr", tmp_path / "study")
    house.send(study.paths)
    house.auditor.settle()
    house.walk.service.kill()
    house.send(with_other_pixels(study.paths, tmp_path / "turned"))
    house.walk.orthanc.kill()
    house.lose_the_outbox()
    house.walk.orthanc.restart()
    house.delete("/changes")
    house.walk.service.start()
    house.auditor.agree()


def test_a_study_is_never_lost_while_it_is_sent_again_and_again(house: Followed, tmp_path: Path) -> None:
    """Each time with other pixels, while the service looks at it."""
    study = study_of("chest-cr", tmp_path / "study")
    turned = with_other_pixels(study.paths, tmp_path / "turned")
    for _ in range(10):
        house.send(study.paths)
        house.send(turned)
    house.auditor.agree()
    assert series_ids(study.paths) <= set(house.auditor.points())
