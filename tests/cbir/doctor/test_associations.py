"""What the doctor says of application entities: real ones, that take us, turn us away, or are not there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pynetdicom import AE
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ComprehensiveSRStorage,
    CTImageStorage,
    SecondaryCaptureImageStorage,
    Verification,
)

from cbir.doctor.associations import examine_callers, examine_destinations, examine_own_entity
from cbir.ports import free_port
from cbir.settings import Settings
from indexer.destinations import Destination
from tests.cbir.doctor.findings import by_check


@contextmanager
def listening(title: str, *classes: str, only_for: str = "") -> Iterator[int]:
    """A real application entity on a free port."""
    entity = AE(title)
    entity.require_called_aet = True
    entity.require_calling_aet = [only_for] if only_for else []
    for sop_class in classes:
        entity.add_supported_context(sop_class)
    server = entity.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()


def about(caller: str) -> tuple[str, str]:
    """The level and the advice of one caller."""
    finding = by_check(examine_callers(Settings(callers=(Destination.parse(caller),))))["caller_WS1"]
    return finding.level.value, finding.advice


def test_a_caller_that_takes_what_we_answer_with_is_right_with_and_without_echo() -> None:
    both = (ComprehensiveSRStorage, SecondaryCaptureImageStorage)
    for classes in ((*both, Verification), both):
        with listening("WS1", *classes) as port:
            assert about(f"WS1=127.0.0.1:{port}") == ("ok", "")


def test_a_caller_that_takes_only_one_form_gets_that_and_a_warning() -> None:
    for taken in (ComprehensiveSRStorage, SecondaryCaptureImageStorage):
        with listening("WS1", taken) as port:
            level, advice = about(f"WS1=127.0.0.1:{port}")
        assert level == "warning"
        assert "CBIR_ANSWER_FORMS" in advice


def test_a_caller_that_takes_neither_is_a_problem() -> None:
    with listening("WS1", CTImageStorage, Verification) as port:
        level, advice = about(f"WS1=127.0.0.1:{port}")
    assert level == "problem"
    assert "answer another AE" in advice


def test_a_caller_that_does_not_know_us_or_has_another_title_is_a_problem() -> None:
    with listening("WS1", ComprehensiveSRStorage, only_for="SOMEBODY") as port:
        assert "known AE title" in about(f"WS1=127.0.0.1:{port}")[1]
    with listening("OTHER", ComprehensiveSRStorage, SecondaryCaptureImageStorage) as port:
        assert "CALLED@host" in about(f"WS1=127.0.0.1:{port}")[1]
        assert about(f"WS1=OTHER@127.0.0.1:{port}")[0] == "ok"


def test_a_caller_that_is_not_there_or_has_no_address_is_a_problem() -> None:
    assert "firewall" in about(f"WS1=127.0.0.1:{free_port()}")[1]
    assert "instead of the name" in about("WS1=no-such-host.invalid:104")[1]


def test_a_destination_must_be_there_and_know_us() -> None:
    def said(text: str) -> tuple[str, str]:
        settings = Settings(destinations=(Destination.parse(text),))
        finding = by_check(examine_destinations(settings))["destination_ROOM2"]
        return finding.level.value, finding.advice

    with listening("ROOM2", Verification) as port:
        assert said(f"ROOM2=127.0.0.1:{port}") == ("ok", "")
        assert "known AE title" in said(f"ROOM2=OTHER@127.0.0.1:{port}")[1]
    assert "firewall" in said(f"ROOM2=127.0.0.1:{free_port()}")[1]
    assert said("ROOM2=no-such-host.invalid:104")[0] == "problem"


def test_our_own_entity_is_only_asked_while_the_service_runs() -> None:
    settings = Settings(dimse_port=free_port())
    assert examine_own_entity(settings, serving=False).level == "warning"
    assert examine_own_entity(settings, serving=True).level == "problem"


def test_being_turned_away_as_a_stranger_says_that_we_listen_and_another_title_does_not() -> None:
    with listening("CBIR", Verification, only_for="WS1") as port:
        assert examine_own_entity(Settings(dimse_port=port), serving=True).level == "ok"
    with listening("CBIR", Verification) as port:
        assert examine_own_entity(Settings(dimse_port=port), serving=True).level == "ok"
    with listening("ARCHIVE", Verification) as port:
        assert "CBIR_AE_TITLE" in examine_own_entity(Settings(dimse_port=port), serving=True).advice
