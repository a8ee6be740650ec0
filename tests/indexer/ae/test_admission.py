from __future__ import annotations

import pytest

from indexer.ae.admission import (
    CALLED_AE_TITLE_NOT_RECOGNISED,
    CALLING_AE_TITLE_NOT_RECOGNISED,
    Admission,
    Admitted,
    NotAdmitted,
    is_address_of,
)
from indexer.destinations import Destination

WS1 = Destination.parse("WS1=10.0.0.5:104")
WS1_AT_HOME = Destination.parse("WS1=10.0.0.6:104")
ADMISSION = Admission(("CBIR", "CBIR_CT"), (WS1, WS1_AT_HOME))


@pytest.mark.parametrize(("address", "caller"), [("10.0.0.5", WS1), ("10.0.0.6", WS1_AT_HOME)])
def test_a_configured_caller_at_its_own_address_is_admitted(address: str, caller: Destination) -> None:
    assert ADMISSION.admit("WS1", "CBIR", address) == Admitted(caller, "CBIR")


def test_whoever_may_call_us_may_call_us_by_any_of_our_titles() -> None:
    assert ADMISSION.admit("WS1", "CBIR_CT ", "10.0.0.5") == Admitted(WS1, "CBIR_CT")
    with pytest.raises(NotAdmitted):
        ADMISSION.admit("WS1", "CBIR_CT", "10.0.0.7")


@pytest.mark.parametrize(
    ("calling", "called", "address", "diagnostic"),
    [
        ("WS2", "CBIR", "10.0.0.5", CALLING_AE_TITLE_NOT_RECOGNISED),
        ("ws1", "CBIR", "10.0.0.5", CALLING_AE_TITLE_NOT_RECOGNISED),
        ("", "CBIR", "10.0.0.5", CALLING_AE_TITLE_NOT_RECOGNISED),
        ("WS1", "CBIR", "10.0.0.7", CALLING_AE_TITLE_NOT_RECOGNISED),
        ("WS1", "CBIR", "127.0.0.1", CALLING_AE_TITLE_NOT_RECOGNISED),
        ("WS1", "CBIR", "", CALLING_AE_TITLE_NOT_RECOGNISED),
        ("WS1", "ORTHANC", "10.0.0.5", CALLED_AE_TITLE_NOT_RECOGNISED),
        ("WS1", "CBIR_MR", "10.0.0.5", CALLED_AE_TITLE_NOT_RECOGNISED),
        ("WS1", "cbir_ct", "10.0.0.5", CALLED_AE_TITLE_NOT_RECOGNISED),
        ("WS2", "CBIR_CT", "10.0.0.5", CALLING_AE_TITLE_NOT_RECOGNISED),
        ("WS1", "", "10.0.0.5", CALLED_AE_TITLE_NOT_RECOGNISED),
    ],
)
def test_anybody_else_is_not(calling: str, called: str, address: str, diagnostic: int) -> None:
    with pytest.raises(NotAdmitted) as refused:
        ADMISSION.admit(calling, called, address)
    assert refused.value.diagnostic == diagnostic


def test_without_callers_nobody_is_admitted_and_the_setting_is_named() -> None:
    with pytest.raises(NotAdmitted, match="CBIR_CALLERS"):
        Admission(("CBIR",), ()).admit("WS1", "CBIR", "127.0.0.1")


@pytest.mark.parametrize(
    ("address", "host", "same"),
    [
        ("127.0.0.1", "localhost", True),
        ("::1", "127.0.0.1", True),
        ("::ffff:127.0.0.1", "localhost", True),
        ("::ffff:10.0.0.5", "10.0.0.5", True),
        ("10.0.0.5", "::ffff:10.0.0.5", True),
        ("10.0.0.5", "localhost", False),
        ("127.0.0.1", "10.0.0.5", False),
        ("127.0.0.1", "no-such-host.invalid", False),
        ("not an address", "localhost", False),
    ],
)
def test_an_address_belongs_to_its_host(address: str, host: str, same: bool) -> None:
    assert is_address_of(address, host) is same
