"""Reports are read from Structured Reports, encapsulated text and tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from indexer.errors import Rejected, TooLarge, Unsupported
from tests.training.pairs.studies import document, report, save
from training.errors import TrainingError
from training.pairs.reports import MAX_REPORT_BYTES, Report, by_study, read_report, read_table

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


def test_an_encapsulated_pdf_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    path = save(document("1.2.3", b"%PDF-1.7", "application/pdf"), tmp_path / "pdf.dcm")
    with pytest.raises(Unsupported, match="table") as refused:
        read_report(path)
    assert refused.value.reason == "pdf_report"


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


def test_several_reports_of_a_study_are_joined_and_the_same_text_counts_once() -> None:
    reports = [Report("1", "a"), Report("1", "b"), Report("1", "a"), Report("2", "c")]
    assert by_study(iter(reports)) == {"1": "a\n\nb", "2": "c"}


def test_a_table_of_reports_is_read(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text('study_instance_uid,text\n1.2,"Foie normal.\nRate normale."\n1.3,\n', encoding="utf-8")
    assert read_table(path) == {"1.2": "Foie normal.\nRate normale."}


@pytest.mark.parametrize("text", ["uid,text\n1,a\n", "study_instance_uid,text\n1,\n"])
def test_a_table_without_reports_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reports.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError):
        read_table(path)
