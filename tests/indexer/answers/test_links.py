"""Links open a match in the programs that are configured, and can be nothing but addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from indexer.answers.links import PRESETS, Links, Viewer
from indexer.domain import EncoderVersion, FrameReference, Match, SeriesAttributes, SeriesReference

MATCH = Match(
    rank=1,
    score=0.9,
    reference=SeriesReference("1.2", "1.2.3", "01234567-89abcdef"),
    attributes=SeriesAttributes("MR"),
    frame=FrameReference("1.2.840.10008.5.1.4.1.1.4", "1.2.3.4", 1),
    encoder=EncoderVersion("grey32", "ab" * 32, 2),
)
ROOT = "https://pacs.example/orthanc"


def opened(*viewers: str) -> dict[str, str]:
    return dict(Links(f"{ROOT}/", programs=tuple(map(Viewer.parse, viewers))).viewers(MATCH))


def test_every_preset_leads_to_its_viewer() -> None:
    assert opened(*PRESETS) == {
        "Orthanc Explorer": f"{ROOT}/app/explorer.html#series?uuid=01234567-89abcdef",
        "Orthanc Explorer 2": f"{ROOT}/ui/app/#/filtered-studies?StudyInstanceUID=1.2",
        "Stone viewer": f"{ROOT}/stone-webviewer/index.html?study=1.2",
        "OHIF": f"{ROOT}/ohif/viewer?StudyInstanceUIDs=1.2",
        "Weasis": "weasis://%24dicom%3Ars%20--url%20%22https%3A%2F%2Fpacs.example%2Forthanc%2Fdicom-web%22"
        "%20-r%20%22studyUID%3D1.2%22",
    }


def test_without_a_wish_a_match_opens_in_orthancs_own_explorer() -> None:
    assert list(Links(ROOT).viewers(MATCH)) == ["Orthanc Explorer"]


def test_the_order_is_that_of_the_setting() -> None:
    assert list(opened("stone", "Mine=https://mine.example/{sop_instance_uid}", "explorer")) == [
        "Stone viewer",
        "Mine",
        "Orthanc Explorer",
    ]


def test_the_address_of_orthanc_inside_another_address_is_encoded() -> None:
    found = opened("Mine=https://mine.example/?from={orthanc}&series={series_instance_uid}")
    assert found["Mine"] == "https://mine.example/?from=https%3A%2F%2Fpacs.example%2Forthanc&series=1.2.3"


def test_a_value_cannot_leave_its_place_in_the_address() -> None:
    wicked = replace(MATCH, reference=SeriesReference('1.2"&x=<', "1", "id"))
    links = Links(ROOT, programs=(PRESETS["stone"],))
    assert links.viewers(wicked)["Stone viewer"].endswith("?study=1.2%22%26x%3D%3C")


@pytest.mark.parametrize(
    "text",
    [
        "nobody",
        "Mine=javascript:alert(1)",
        "Mine=JavaScript:alert(1)",
        "Mine= data:text/html,hello",
        "Mine=//other.example/",
        "Mine=https://mine.example/{patient_id}",
        "Mine=https://mine.example/{",
        "Mine=https://mine.example/{{orthanc}}",
        'Mine=https://mine.example/"onclick',
        "Mine=https://mine.example/a b",
        "<b>=https://mine.example/",
        "=https://mine.example/",
    ],
)
def test_what_is_no_template_is_refused_with_the_form_that_is_wanted(text: str) -> None:
    with pytest.raises(ValueError, match=r"write|must"):
        Viewer.parse(text)


def test_a_folder_has_no_viewer() -> None:
    in_folder = replace(MATCH, reference=SeriesReference("1.2", "1.2.3", "1.2/1.2.3"))
    assert Links(ROOT).viewers(in_folder) == {}
    assert Links().viewers(MATCH) == {}
