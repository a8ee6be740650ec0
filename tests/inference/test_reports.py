"""Reports are read from Structured Reports and encapsulated documents, and lose their names."""

from __future__ import annotations

from pathlib import Path

import pytest
from highdicom.sr import CodedConcept, RelationshipTypeValues, TextContentItem
from pydicom.dataset import Dataset

from indexer.answers.identity import MANUFACTURER
from indexer.errors import Rejected, TooLarge, Unsupported
from inference.decoders import Decoders
from inference.limits import Limits
from inference.reports import MAX_REPORT_BYTES, describing, describing_sentences, read_report
from tests.training.pairs.studies import document, report, save

CDA = (
    '<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"><title>Report</title>'
    "<recordTarget><name>Nobody</name></recordTarget><component><section><title>Résultats</title>"
    "<text><paragraph>Le foie est normal.</paragraph><paragraph>Pas d&#39;ascite.</paragraph></text>"
    "</section></component></ClinicalDocument>"
)


def test_a_structured_report_gives_its_text_items_under_their_containers(tmp_path: Path) -> None:
    path = save(report("1.2.3", "P", ["The liver is normal.", "Vésicule absente."]), tmp_path / "sr.dcm")
    found = read_report(path)
    assert found.study_instance_uid == "1.2.3"
    assert [line for line in found.text.split("\n") if line] == [
        "History:",
        "Known lesion of the spleen.",
        "Findings:",
        "The liver is normal.",
        "Vésicule absente.",
    ]


def test_an_encapsulated_cda_gives_its_narrative_and_no_name(tmp_path: Path) -> None:
    text = read_report(save(document("1.2.3", CDA.encode(), "text/XML"), tmp_path / "cda.dcm")).text
    assert "Résultats:" in text
    assert "Le foie est normal." in text
    assert "Pas d'ascite." in text
    assert "Nobody" not in text


def test_encapsulated_plain_text_is_read(tmp_path: Path) -> None:
    path = save(document("1.2.3", "Rein normal.".encode("latin-1"), "text/plain"), tmp_path / "txt.dcm")
    assert read_report(path).text == "Rein normal."


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    dataset = report("1.2.3", "P", ["The liver is normal."])
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.6.1"
    with pytest.raises(Unsupported, match="no report"):
        read_report(save(dataset, tmp_path / "us.dcm"))


def test_rubbish_and_giants_are_refused(tmp_path: Path) -> None:
    rubbish, giant = tmp_path / "rubbish", tmp_path / "giant"
    rubbish.write_bytes(b"no DICOM at all")
    with pytest.raises(Rejected):
        read_report(rubbish)
    with giant.open("wb") as file:
        file.truncate(MAX_REPORT_BYTES + 1)
    with pytest.raises(TooLarge):
        read_report(giant)


def test_the_text_of_an_encapsulated_pdf_is_read(tmp_path: Path) -> None:
    body = pdf_of("Conclusion: Le foie est normal.", "Second page, a cyst.")
    text = read_report(save(document("1.2.3", body, "application/pdf"), tmp_path / "pdf.dcm")).text
    assert "Le foie est normal." in text
    assert "Second page, a cyst." in text


@pytest.mark.parametrize("body", [b"%PDF-1.7", b"%PDF-1.7\n1 0 obj <<" + b"[" * 100_000])
def test_a_broken_pdf_is_refused(tmp_path: Path, body: bytes) -> None:
    path = save(document("1.2.3", body, "application/pdf"), tmp_path / "pdf.dcm")
    with pytest.raises(Rejected) as refused:
        read_report(path)
    assert refused.value.reason == "unreadable_report"


def test_a_pdf_that_never_ends_is_given_up(tmp_path: Path) -> None:
    """A page whose content holds a million operators: the decoder is ended with it, not the worker."""
    slow = pdf_of("BT /F1 1 Tf (a) Tj ET " * 400_000, raw=True)
    path = save(document("1.2.3", slow, "application/pdf"), tmp_path / "slow.dcm")
    with Decoders(Limits(timeout_s=1.0), 1) as decoders, pytest.raises(Rejected) as refused:
        decoders.result(decoders.submit(describing, path, decoders.limits))
    assert refused.value.reason == "decode_timeout"


def test_only_what_is_seen_is_kept_and_the_conclusion_comes_first() -> None:
    text = (
        "Indication: chest pain.\n\nTechnique: spiral CT.\n\nFindings: A cyst of the liver. Normal spleen."
        "\n\nImpression: Benign cyst."
    )
    assert list(describing_sentences(text)) == ["Benign cyst.", "A cyst of the liver.", "Normal spleen."]
    french = "INDICATION : douleur.\n\nRÉSULTATS :\nFoie normal.\n\nCONCLUSION :\nPas de lésion."
    assert list(describing_sentences(french)) == ["Pas de lésion.", "Foie normal."]


def test_without_sections_everything_but_the_indication_is_kept() -> None:
    assert list(describing_sentences("History: fall.\n\nChest: No fracture.")) == ["No fracture."]


def test_names_and_long_numbers_are_left_out(tmp_path: Path) -> None:
    dataset = report("1.2.3", "P-77", ["Quillfeather seen with Dr. Ann Odd: cyst 12 mm, file 4711 0815 99."])
    dataset.PatientName = "QUILLFEATHER^ZOE"
    dataset.ReferringPhysicianName = "Marrow^Max"
    found = describing(save(dataset, tmp_path / "sr.dcm"), Limits())
    assert found.sentences == ("seen with : cyst 12 mm, file .",)
    dataset = report("1.2.3", "P", ["Bone Marrow is normal, as Zoe was told; the marrow is fat."])
    dataset.PatientName = "QUILLFEATHER^ZOE"
    dataset.ReferringPhysicianName = "Marrow^Max"
    found = describing(save(dataset, tmp_path / "sr.dcm"), Limits())
    assert " ".join(found.sentences) == "Bone is normal, as was told; the marrow is fat."


def test_what_is_said_of_the_report_itself_is_no_finding(tmp_path: Path) -> None:
    dataset = report("1.2.3", "P", ["A cyst."])
    device = TextContentItem(
        name=CodedConcept("121013", "DCM", "Device Observer Name"),
        value="Room 4",
        relationship_type=RelationshipTypeValues.HAS_OBS_CONTEXT,
    )
    dataset.ContentSequence = [*dataset.ContentSequence, device]
    assert "Room" not in read_report(save(dataset, tmp_path / "sr.dcm")).text


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Manufacturer": MANUFACTURER}, "own_answer"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"}, "no_report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.59"}, "no_report"),
        ({"ContentSequence": []}, "empty_report"),
    ],
)
def test_what_says_nothing_is_skipped(tmp_path: Path, change: dict[str, object], reason: str) -> None:
    dataset = report("1.2.3", "P", ["A cyst."])
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    with pytest.raises(Unsupported) as refused:
        describing(save(dataset, tmp_path / "sr.dcm"), Limits())
    assert refused.value.reason == reason


def test_a_content_tree_without_end_is_refused(tmp_path: Path) -> None:
    dataset = report("1.2.3", "P", ["A cyst."])
    inner = dataset.ContentSequence[0]
    for _ in range(50):
        outer = Dataset()
        outer.ValueType, outer.ContentSequence = "CONTAINER", [inner]
        inner = outer
    dataset.ContentSequence = [inner]
    with pytest.raises(Rejected) as refused:
        read_report(save(dataset, tmp_path / "deep.dcm"))
    assert refused.value.reason == "unreadable_report"


def pdf_of(*pages: str, raw: bool = False) -> bytes:
    """A PDF with a line of text a page."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        content = text if raw else f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>",
            f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        ]
    body, offsets = b"%PDF-1.4\n", []
    for number, one in enumerate(objects, start=1):
        offsets.append(len(body))
        body += f"{number} 0 obj\n{one}\nendobj\n".encode()
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()
