"""Further AE titles of ours are read from one option; what is wrong is refused with what to write."""

from __future__ import annotations

from datetime import date

import pytest

from cbir.environment import settings_of_environment
from cbir.presets import PresetOptions, parse_presets
from cbir.settings import Settings
from indexer.ae.preset import Preset
from indexer.api.asking import UploadOptions
from indexer.domain import Filters
from indexer.errors import Rejected


def test_each_title_asks_as_its_query_says() -> None:
    presets = parse_presets(
        "CBIR_CT?modality=CT&study_date_from=2020-01-01 CBIR_VARIED?diversity=0.5&limit=5\n"
        "CBIR_WORDS?reads_reports=true&text_weight=0.4"
    )
    assert presets == (
        Preset("CBIR_CT", filters=Filters(modality=("CT",), study_date_from=date(2020, 1, 1))),
        Preset("CBIR_VARIED", limit=5, diversity=0.5),
        Preset("CBIR_WORDS", text_weight=0.4, reads_reports=True),
    )


def test_a_query_is_written_as_in_an_address() -> None:
    [preset] = parse_presets(
        "A=B!?modality=ct&modality=MR&body_part_examined=LOW%20LEG&text=pleural+effusion%26"
    )
    assert preset.ae_title == "A=B!"
    assert preset.filters == Filters(modality=("CT", "MR"), body_part_examined=("LOW LEG",))
    assert preset.text == "pleural effusion&"


def test_a_semicolon_may_stand_in_a_text() -> None:
    [listed, escaped] = parse_presets("A?text=cyst;+limit+3 B?text=cyst%3Blimit=3")
    assert (listed.text, escaped.text) == ("cyst; limit 3", "cyst;limit=3")


def test_what_a_preset_may_say_has_the_names_and_bounds_of_an_upload() -> None:
    properties = UploadOptions.model_json_schema()["properties"]
    own = PresetOptions.model_json_schema()["properties"]
    same = own.keys() - {"limit"}
    assert {"modality", "body_part_examined", "study_date_from", "study_date_to", "reads_reports"} < same
    assert {name: own[name] for name in same} == {name: properties[name] for name in same}
    bounds = {name: properties["limit"][name] for name in ("minimum", "maximum", "type")}
    assert bounds in own["limit"]["anyOf"]


def test_no_presets_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().ae_presets == ()
    monkeypatch.setenv("CBIR_AE_PRESETS", "")
    assert Settings().ae_presets == ()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("CBIR_CT", "CBIR_CT does not say how it asks: write AE_TITLE"),
        ("CBIR_CT?", "CBIR_CT does not say how it asks: write AE_TITLE"),
        ("CBIR_CT?modality", "What CBIR_CT asks cannot be read: write AE_TITLE"),
        ("X?text=%ff", "What X asks cannot be read: write AE_TITLE"),
        ("X?text=a%00b", "X has a control character in text: leave it out"),
        ("X?text=a%0Ab", "X has a control character in text"),
        ("X?modality=CT&modality=%1B", "X has a control character in modality"),
        ("X?text=cyst;limit=3", "X has a ; before a name: write & between values, and %3B for a ; in a text"),
        ("X?modality=CT;MR;colour=1", "X has a ; before a name"),
        ("X?modality=", "X cannot ask so: modality.0: String should have at least 1 character; correct it"),
        ("X?limit=0", "limit: Input should be greater than or equal to 1; correct it"),
        ("X?limit=101", "limit: Input should be less than or equal to 100; correct it"),
        ("X?diversity=1.5", "diversity: Input should be less than or equal to 1; correct it"),
        ("X?diversity=nan", "diversity: "),
        ("X?reads_reports=perhaps", "reads_reports: Input should be a valid boolean"),
        ("X?study_date_from=1.2.20", "study_date_from: write a date as 2024-01-31 or 20240131; correct it"),
        ("X?study_date_from=20210101&study_date_to=20200101", "study_date_from is after study_date_to"),
        ("X?limit=3&limit=4", "X has two values of limit: write one"),
        ("X?same_patient=true", "unknown field same_patient; allowed are modality, body_part_examined"),
        ("X?colour=1&more=1.2", "unknown field colour, more; allowed are"),
        ("X?body_part_examined=LOW LEG", "LEG does not say how it asks: write AE_TITLE?name=value"),
        ("?limit=3", "'' is no AE title: write AE_TITLE"),
        ("X\\Y?limit=3", "is no AE title"),
        ("É?limit=3", "is no AE title"),
        ("ABCDEFGHIJKLMNOPQ?limit=3", "1 to 16 characters"),
        ("X?limit=3 X?limit=4", "X stands twice: give each preset an AE title of its own"),
        ("CBIR?limit=3", "CBIR is CBIR_AE_TITLE: give the preset in CBIR_AE_PRESETS another AE title"),
    ],
)
def test_what_is_wrong_is_refused_with_the_option_and_what_to_write(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("CBIR_AE_PRESETS", value)
    with pytest.raises(Rejected) as refused:
        settings_of_environment()
    assert said in str(refused.value)
    assert "CBIR_AE_PRESETS" in str(refused.value)


def test_the_words_of_a_preset_are_not_repeated_by_its_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_AE_PRESETS", "X?text=Zqxhollister&limit=0")
    with pytest.raises(Rejected) as refused:
        settings_of_environment()
    assert "Zqxhollister" not in str(refused.value)


def test_the_first_title_may_change_and_its_old_name_become_a_preset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_AE_TITLE", "SIMILAR")
    monkeypatch.setenv("CBIR_AE_PRESETS", "CBIR?limit=3")
    assert [preset.ae_title for preset in Settings().ae_presets] == ["CBIR"]
