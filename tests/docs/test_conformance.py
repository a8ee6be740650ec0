from __future__ import annotations

import re
from pathlib import Path

from pydicom.sr.coding import Code

from cbir.presets import PresetOptions, parse_presets
from indexer.ae import entity, finding, identifiers, retrieving, rows
from indexer.ae.patience import Patience
from indexer.answers import (
    concepts,
    dicom_json,
    documents,
    identity,
    illustrations,
    sheet,
    sheet_cases,
    sheet_content,
    sheet_frame,
)
from indexer.collecting import shipping
from indexer.ledger import answers

DOCS = Path(__file__).parent.parent.parent / "docs"
STATEMENT, OPERATIONS = ((DOCS / name).read_text() for name in ("conformance.md", "operations.md"))


def test_everything_that_a_preset_may_say_is_stated_in_both_papers() -> None:
    for paper, heading in ((STATEMENT, "| Of a preset |"), (OPERATIONS, "## Ways to ask, by destination")):
        section = paper.split(heading)[1].split("\n## ")[0].split("\n**")[0]
        rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
        stated = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
        assert sorted(stated) == sorted(PresetOptions.model_fields)


def test_the_presets_of_the_papers_can_be_set() -> None:
    written = re.findall(r'CBIR_AE_PRESETS="([^"]+)"', OPERATIONS)
    assert written
    for presets in written:
        assert len(parse_presets(presets)) == 3


def test_every_private_code_is_stated_with_its_meaning() -> None:
    codes = private_codes()
    assert len(codes) == 22
    for code in codes:
        assert f"| {code.value} | {code.meaning} |" in STATEMENT


def test_no_private_code_is_stated_that_does_not_exist() -> None:
    section = STATEMENT.split("### 3.3")[1].split("\n### ")[0]
    stated = [row.split("|")[1].strip() for row in section.splitlines() if row.startswith("| ")][1:]
    assert set(stated) == {code.value for code in private_codes()}


def private_codes() -> list[Code]:
    named = [*vars(concepts).values(), *concepts.LIKENESSES.values()]
    return [code for code in named if isinstance(code, Code) and code.scheme_designator == "99CBIR"]


def test_every_private_attribute_and_header_of_dicom_json_is_stated() -> None:
    section = STATEMENT.split("### 3.4")[1].split("\n## ")[0]
    offsets = {value for name, value in vars(dicom_json).items() if name.endswith("_OFFSET")}
    assert f'"{dicom_json.PRIVATE_CREATOR}"' in section
    assert set(re.findall(r"\(0011,10([0-9A-F]{2})\)", section)) == {f"{offset:02X}" for offset in offsets}
    assert all(f"| {header} |" in section for header in (dicom_json.NOTICE, dicom_json.OUTCOME))


def test_what_is_drawn_and_read_at_most_is_that_of_the_code() -> None:
    words = {3: "three", 5: "five", 10: "ten"}
    for stated in (
        f"Series Number {sheet.SHEET_SERIES_NUMBER}",
        f"{sheet_frame.WIDTH} columns",
        f"({words[illustrations.MOST_ASKED]} series at most)",
        f"up to {words[sheet_content.MOST_MATCHES]} cases",
        f"up to {words[sheet_cases.MOST_OF_SAME_PATIENT]} studies",
        f"at most {sheet_content.LONGEST_TEXT} characters of a text",
        f"more than {documents.LARGEST_BYTES // 2**20} MiB",
    ):
        assert stated in STATEMENT, stated


def test_every_status_of_a_c_store_is_stated() -> None:
    section = STATEMENT.split("**C-STORE status codes returned**")[1].split("**When")[0]
    assert set(re.findall(r"^\| ([0-9A-F]{4}) \|", section, re.MULTILINE)) == {
        f"{status:04X}"
        for status in (
            entity.SUCCESS,
            entity.NOT_AUTHORISED,
            entity.OUT_OF_RESOURCES,
            entity.DOES_NOT_MATCH,
            entity.CANNOT_UNDERSTAND,
        )
    }


def stated_statuses(heading: str, end: str) -> set[str]:
    section = STATEMENT.split(heading)[1].split(end)[0]
    rows = re.findall(r"^\| ([0-9A-F, ]+) \|", section, re.MULTILINE)
    return {code.strip() for row in rows for code in row.split(",")}


def test_every_status_of_a_query_and_a_retrieval_is_stated() -> None:
    found = stated_statuses("**C-FIND status codes returned**", "**C-MOVE and C-GET.**")
    assert found == {
        f"{status:04X}"
        for status in (
            entity.SUCCESS,
            entity.NOT_AUTHORISED,
            finding.PENDING,
            finding.PENDING_WITHOUT_SOME_KEYS,
            finding.CANCELLED,
            finding.IDENTIFIER_DOES_NOT_MATCH,
            finding.UNABLE_TO_PROCESS,
            finding.QUESTION_REFUSED,
        )
    }
    retrieved = stated_statuses("**C-MOVE and C-GET status codes returned**", "**De-identification**")
    assert {f"{retrieving.UNABLE_TO_PERFORM:04X}", "A801", "B000", "A900", "FE00"} <= retrieved


def test_every_attribute_that_can_be_asked_for_is_stated() -> None:
    section = STATEMENT.split("| Level | Attributes")[1].split("Every response")[0]
    stated = re.sub(r"[^a-z]", "", section.casefold())
    for level, keywords in rows.OF_LEVEL.items():
        assert f"| {level}" in section
        for keyword in keywords:
            last = keyword.removeprefix("NumberOfPatientRelated").removeprefix("NumberOfStudyRelated")
            name = re.sub(r"[^a-z]", "", last.casefold())
            plain = name.replace("patientname", "patientsname").replace("patientsex", "patientssex")
            plain = plain.replace("patientbirthdate", "patientsbirthdate")
            assert plain.replace("physicianname", "physiciansname") in stated, keyword


def test_limits_and_times_are_those_of_the_code() -> None:
    patience = Patience()
    for stated in (
        f"Maximum PDU received {entity.MAXIMUM_PDU_BYTES} bytes",
        f"{entity.MAXIMUM_ASSOCIATIONS} associations",
        f"ended after {entity.IDLE_TIMEOUT_S} s",
        f"after {entity.REQUEST_TIMEOUT_S} s.",
        f"at the latest {patience.held_s:.0f} s after",
        f"at the latest {patience.gather_s / 60:.0f} minutes after",
        f"tried again after {patience.retry_first_s:.0f} s",
        f"up to {patience.retry_longest_s:.0f} s, for {patience.give_up_s / 3600:.0f} h",
        f"Series Number\n{identity.SERIES_NUMBER}",
        f"An Identifier has at\nmost {identifiers.MAX_BYTES} bytes",
        f"At most {shipping.AT_ONCE} instances of a retrieval",
        f"at most its last {answers.MOST_READ} questions",
    ):
        assert stated in STATEMENT, stated
    assert all(uid.rpartition(".1.1")[2] in STATEMENT for uid in entity.RETIRED_IMAGE_STORAGE)
