from __future__ import annotations

import re
from pathlib import Path

from pydicom.sr.coding import Code

from indexer.ae import entity
from indexer.ae.patience import Patience
from indexer.answers import concepts, identity

STATEMENT = (Path(__file__).parent.parent.parent / "docs" / "conformance.md").read_text()


def test_every_private_code_is_stated_with_its_meaning() -> None:
    codes = [
        code
        for code in vars(concepts).values()
        if isinstance(code, Code) and code.scheme_designator == "99CBIR"
    ]
    assert len(codes) == 7
    for code in codes:
        assert f"| {code.value} | {code.meaning} |" in STATEMENT


def test_no_private_code_is_stated_that_does_not_exist() -> None:
    section = STATEMENT.split("### 3.1")[1].split("\n## ")[0]
    stated = [row.split("|")[1].strip() for row in section.splitlines() if row.startswith("| ")][1:]
    assert set(stated) == {
        code.value
        for code in vars(concepts).values()
        if isinstance(code, Code) and code.scheme_designator == "99CBIR"
    }


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
    ):
        assert stated in STATEMENT, stated
    assert all(uid.rpartition(".1.1")[2] in STATEMENT for uid in entity.RETIRED_IMAGE_STORAGE)
