"""A rectangle on a frame, asked about over HTTP: the right case comes first, marked in the right place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import generate_uid
from rich.console import Console

from demo.families import FAMILIES, write_studies
from demo.walk import Walk
from tests.integration.conftest import ASKING, store, wait_until_indexed

pytestmark = pytest.mark.orthanc

SPINE = tuple(family for family in FAMILIES if family.name == "spine-mr")
RADIUS = 0.09
SIDE = 0.28
PLACES = {0: (0.15, 0.2), 1: (0.8, 0.75), 2: (0.15, 0.75), 3: (0.8, 0.25)}
"""The studies with a lesion, and its middle in fractions of the frame: always beside the spine."""


@dataclass(frozen=True)
class Written:
    """A study on disk, one instance of which shows a lesion, if any."""

    paths: tuple[Path, ...]
    study_instance_uid: str
    lesion: tuple[float, float] | None
    sop_instance_uid: str


def write_all(folder: Path) -> Iterator[Written]:
    """Spines, a dozen; some with rings in the soft tissue beside them."""
    for number, study in enumerate(write_studies(folder, per_family=12, families=SPINE)):
        lesion = PLACES.get(number)
        marked = dcmread(study.paths[2])
        if lesion is not None:
            pixels = marked.pixel_array.copy()
            rows, columns = pixels.shape
            y, x = np.mgrid[:rows, :columns]
            distance = np.hypot((x + 0.5) / columns - lesion[0], (y + 0.5) / rows - lesion[1])
            pixels[distance < RADIUS] = 3900
            pixels[distance < RADIUS / 2] = 300
            marked.PixelData = pixels.tobytes()
            marked.save_as(study.paths[2], enforce_file_format=True)
        yield Written(study.paths, study.study_instance_uid, lesion, str(marked.SOPInstanceUID))


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> list[Written]:
    return list(write_all(tmp_path_factory.mktemp("spines")))


@pytest.fixture(scope="module")
def spines(walk: Walk, written: Sequence[Written], console: Console) -> Walk:
    """The hospital with every study but the first."""
    for study in written[1:]:
        store(study.paths, walk.orthanc.dicom_port, walk.orthanc.ae_title)
    wait_until_indexed(walk, console, series=len(written) - 1)
    return walk


def around(place: tuple[float, float]) -> dict[str, float]:
    left, top = (min(max(middle - SIDE / 2, 0.0), 1 - SIDE) for middle in place)
    return {"left": left, "top": top, "width": SIDE, "height": SIDE}


def assert_is_marked(matches: Sequence[dict[str, Any]], written: Sequence[Written], wanted: int) -> None:
    """The studies with a lesion come first, shown by the frame that has it, and marked over it."""
    by_uid = {study.study_instance_uid: study for study in written}
    for match in matches[:wanted]:
        study = by_uid[match["study_instance_uid"]]
        assert study.lesion is not None, "a study without a lesion stands before one with it"
        assert match["sop_instance_uid"] == study.sop_instance_uid
        place = match["place"]
        middle = (place["left"] + place["width"] / 2, place["top"] + place["height"] / 2)
        assert middle == pytest.approx(study.lesion, abs=0.15)
        assert match["percent"] is None


def test_a_region_of_an_archived_study_is_found_in_the_others(spines: Walk, written: list[Written]) -> None:
    example = written[1]
    assert example.lesion is not None
    region = {"sop_instance_uid": example.sop_instance_uid, "frame_number": 1, **around(example.lesion)}
    question = {"example": {"study_instance_uid": example.study_instance_uid}, "region": region}
    for address, auth in (
        (spines.service.url, None),
        (f"{spines.orthanc.http_url}/cbir", spines.orthanc.auth),
    ):
        answer = httpx.post(
            f"{address}/api/search", json=question, headers=ASKING, auth=auth, timeout=120, trust_env=False
        )
        assert answer.status_code == 200, answer.text
        assert_is_marked(answer.json()["matches"], written, wanted=2)


def test_a_region_of_an_upload_is_found_and_the_maps_come_with_the_matches(
    spines: Walk, written: list[Written]
) -> None:
    example = written[0]
    assert example.lesion is not None
    asked = around(example.lesion)
    values = ",".join(str(asked[name]) for name in ("left", "top", "width", "height"))
    answer = httpx.post(
        f"{spines.service.url}/api/search/upload",
        params={"region": f"{example.sop_instance_uid},1,{values}", "maps": True, "limit": 5},
        content=example.paths[2].read_bytes(),
        headers={"Content-Type": "application/dicom", **ASKING},
        timeout=120,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    matches = answer.json()["matches"]
    assert_is_marked(matches, written, wanted=3)
    for match in matches:
        values_of_match = np.array(match["maps"]["match"]["values"])
        assert values_of_match.shape == (match["maps"]["match"]["rows"], match["maps"]["match"]["columns"])
        assert values_of_match.max() == 1


@pytest.mark.parametrize("way", ["features", "occlusion"])
def test_maps_of_two_archived_frames_come_through_orthanc(
    spines: Walk, written: list[Written], way: str
) -> None:
    asked: dict[str, str | int] = {
        "example_sop_instance_uid": written[1].sop_instance_uid,
        "example_frame_number": 1,
        "sop_instance_uid": written[2].sop_instance_uid,
        "frame_number": 1,
        "way": way,
    }
    for address, auth in (
        (spines.service.url, None),
        (f"{spines.orthanc.http_url}/cbir", spines.orthanc.auth),
    ):
        answer = httpx.get(f"{address}/api/maps", params=asked, auth=auth, timeout=120, trust_env=False)
        assert answer.status_code == 200, answer.text
        found = answer.json()
        for one in (found["example"], found["match"]):
            assert np.array(one["values"]).shape == (7, 7)
            assert max(max(row) for row in one["values"]) == 1
    unknown = asked | {"sop_instance_uid": str(generate_uid())}
    answer = httpx.get(f"{spines.service.url}/api/maps", params=unknown, timeout=120, trust_env=False)
    assert answer.status_code == 404
