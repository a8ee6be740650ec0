from __future__ import annotations

import pytest

from indexer.destinations import Destination


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("WS1=10.0.0.5:104", Destination("WS1", "10.0.0.5", 104, "WS1")),
        (" WS1 = ORTHANC@pacs.example:11112 ", Destination("WS1", "pacs.example", 11112, "ORTHANC")),
        ("WS1=[::1]:104", Destination("WS1", "::1", 104, "WS1")),
        ("A B=X Y@[fe80::1%eth0]:1", Destination("A B", "fe80::1%eth0", 1, "X Y")),
        ("SIXTEEN_LETTERS_=h:65535", Destination("SIXTEEN_LETTERS_", "h", 65535, "SIXTEEN_LETTERS_")),
    ],
)
def test_a_caller_is_read_from_its_text(text: str, expected: Destination) -> None:
    assert Destination.parse(text) == expected


@pytest.mark.parametrize(
    "text", ["WS1=10.0.0.5:104", "WS1=ORTHANC@host:104", "WS1=[::1]:104", "WS1=X@[::1]:104"]
)
def test_a_caller_is_written_as_it_is_read(text: str) -> None:
    assert str(Destination.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "WS1",
        "WS1=host",
        "WS1=host:",
        "WS1=host:dicom",
        "=host:104",
        "WS1=@host:104",
        "WS1=::1:104",
        "WS1=:104",
        "SEVENTEEN_LETTERS=h:104",
        "WS\\1=h:104",
        "WÄ=h:104",
        "WS1=a b:104",
        "WS1=h:104 extra",
        "WS1=X@Y@h:104",
    ],
)
def test_a_text_of_another_form_is_refused_and_told_the_form(text: str) -> None:
    with pytest.raises(ValueError, match="AET=host:port"):
        Destination.parse(text)


@pytest.mark.parametrize("port", [0, 65536, 99999])
def test_a_port_outside_the_range_is_refused(port: int) -> None:
    with pytest.raises(ValueError, match="between 1 and 65535"):
        Destination.parse(f"WS1=h:{port}")
