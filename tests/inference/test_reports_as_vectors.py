"""Reports of an archive are read by the encoder that reads, and stand among its vectors as what they are."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import generate_uid

from demo.families import FAMILIES, write_studies
from indexer.adapters.inference_http import InferenceClient
from indexer.answers.identity import MANUFACTURER
from indexer.domain import IndexedSeries, Vector
from indexer.errors import EncoderUnavailable, NotConfigured, Rejected
from indexer.following import Reconciler
from indexer.ledger import Ledger, State
from indexer.patients import Pseudonyms
from indexer.ports import MOST_REPORTS
from inference.app import create_app
from inference.decoders import Decoders
from inference.limits import Limits
from inference.report_embedding import MOST_ASKED_WITH, ReportEmbedder, read_reports
from inference.text import TextEncoder
from tests.fakes.encoders import write_encoder
from tests.fakes.server import serving
from tests.fakes.text_tower import add_text_tower
from tests.inference.test_side_by_side import Hall
from tests.training.pairs.studies import document, report, save

AXES = np.eye(256, dtype=np.float32)
WORDS: Mapping[str, Vector] = {
    "cyst": AXES[0], "kyste": AXES[0], "liver": AXES[1], "foie": AXES[1], "spleen": AXES[2]
}  # fmt: skip
CHEST = tuple(family for family in FAMILIES if family.name == "chest-cr")


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(Limits(timeout_s=120), 1) as decoders:
        yield decoders


@pytest.fixture
def hall(tmp_path: Path, decoders: Decoders) -> Iterator[Hall]:
    """One encoder that only looks, and one that reads as well."""
    encoders_dir = tmp_path / "models"
    write_encoder(encoders_dir, "looks", side=20)
    add_text_tower(write_encoder(encoders_dir, "reads", modalities=("US",)), WORDS, languages=("en", "fr"))
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger:
        yield Hall(ledger, encoders_dir, decoders, tmp_path / "spool")


def written(folder: Path, *sentences: str, **elements: object) -> Path:
    """A Basic Text SR."""
    dataset = report("1.2.3", "P", sentences)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return save(dataset, folder / f"{generate_uid()}.dcm")


def held(hall: Hall) -> IndexedSeries:
    """The one series that the encoder that reads holds."""
    version = hall.line_ups.serving.reads("SR")
    assert version is not None
    (archive_id,) = hall.index.archive_ids(version)
    return hall.index.indexed(version, [archive_id])[archive_id]


def vector_of(hall: Hall) -> Vector:
    version = hall.line_ups.serving.reads("SR")
    assert version is not None
    found = held(hall).reference.archive_id
    return hall.index.embeddings_by_id(version, [found])[found].vector


def test_a_report_goes_to_the_first_encoder_that_reads(hall: Hall, tmp_path: Path) -> None:
    hall.serve("looks", "reads")
    path = written(tmp_path, "A cyst.", StudyDate="20240229", BodyPartExamined="ABDOMEN")
    hall.archive.store(path)
    hall.work()
    assert hall.made() == {"reads"}
    indexed = held(hall)
    attributes = indexed.attributes
    assert (attributes.kind, attributes.modality, attributes.study_date) == (
        "report",
        "SR",
        date(2024, 2, 29),
    )
    assert attributes.body_part_examined == "ABDOMEN"
    assert indexed.reference.study_instance_uid == "1.2.3"
    assert [frame.frame_number for frame in indexed.frames] == [1]
    assert indexed.fingerprint == hall.archive.series(indexed.reference.archive_id).fingerprint
    np.testing.assert_allclose(vector_of(hall), AXES[0], atol=1e-6)


def test_what_is_longer_than_the_tower_reads_at_once_is_read_in_passages(hall: Hall, tmp_path: Path) -> None:
    hall.serve("reads")
    hall.archive.store(written(tmp_path, "A cyst of the the the the.", "The spleen is the the the."))
    hall.work()
    np.testing.assert_allclose(vector_of(hall), (AXES[0] + AXES[2]) / 2**0.5, atol=1e-6)


def test_every_report_of_a_series_has_a_vector(hall: Hall, tmp_path: Path) -> None:
    hall.serve("reads")
    series = generate_uid()
    for sentence in ("A cyst.", "Le foie.", "Unheard of."):
        hall.archive.store(written(tmp_path, sentence, SeriesInstanceUID=series))
    hall.work()
    assert len(held(hall).frames) == 2
    assert hall.row().detail == "1 frames skipped: unknown_words"


def test_an_encapsulated_document_is_a_report_too(hall: Hall, tmp_path: Path) -> None:
    hall.serve("reads")
    text = b"Indication: spleen?\n\nConclusion: kyste du foie."
    hall.archive.store(save(document("1.2.3", text, "text/plain"), tmp_path / "document.dcm"))
    hall.work()
    np.testing.assert_allclose(vector_of(hall), (AXES[0] + AXES[1]) / 2**0.5, atol=1e-6)


def test_without_one_that_reads_a_report_is_skipped_and_looked_at_again_when_there_is_one(
    hall: Hall, tmp_path: Path
) -> None:
    hall.serve("looks")
    hall.archive.store(written(tmp_path, "A cyst."))
    hall.work()
    assert (hall.row().state, hall.row().reason) == (State.SKIPPED, "report")
    assert hall.archive.fetched == []
    assert compared(hall) == 0
    hall.serve("looks", beside=("looks", "reads"))
    assert compared(hall) == 1
    hall.work()
    assert hall.made() == {"reads"}
    assert compared(hall) == 0


def test_an_encoder_that_learned_to_read_looks_at_the_reports(hall: Hall, tmp_path: Path) -> None:
    hall.serve("looks")
    hall.archive.store(written(tmp_path, "A cyst."))
    hall.work()
    assert compared(hall) == 0
    dimension = 400
    rows = np.eye(dimension, dtype=np.float32)
    add_text_tower(hall.encoders_dir / "looks", {"cyst": rows[0]})
    hall.serve("looks")
    assert compared(hall) == 1
    hall.work()
    assert hall.made() == {"looks"}


def test_when_the_one_that_reads_goes_away_its_reports_go_too(hall: Hall, tmp_path: Path) -> None:
    hall.serve("looks", "reads")
    version = hall.line_ups.serving.reads("SR")
    assert version is not None
    hall.archive.store(written(tmp_path, "A cyst."))
    hall.work()
    assert hall.holds(version) == 1
    hall.serve("looks")
    assert compared(hall) == 1
    hall.work()
    assert (hall.row().state, hall.row().reason) == (State.SKIPPED, "report")
    assert hall.holds(version) == 0
    assert compared(hall) == 0


def test_a_report_that_is_gone_takes_its_vector_with_it(hall: Hall, tmp_path: Path) -> None:
    hall.serve("reads")
    archive_id = hall.archive.store(written(tmp_path, "A cyst."))
    hall.work()
    assert hall.holds(hall.line_ups.versions[0]) == 1
    hall.archive.delete_series(archive_id)
    compared(hall)
    hall.work()
    assert hall.holds(hall.line_ups.versions[0]) == 0


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Manufacturer": MANUFACTURER}, "own_answer"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"}, "no_report"),
        ({"ContentSequence": []}, "empty_report"),
    ],
)
def test_what_is_no_report_has_no_vector(
    hall: Hall, tmp_path: Path, elements: dict[str, object], reason: str
) -> None:
    hall.serve("reads")
    hall.archive.store(written(tmp_path, "A cyst.", **elements))
    hall.work()
    assert (hall.row().state, hall.row().reason) == (State.SKIPPED, reason)
    assert hall.holds(hall.line_ups.versions[0]) == 0


def test_images_never_take_the_way_of_words_nor_words_that_of_images(hall: Hall, tmp_path: Path) -> None:
    hall.serve("looks", "reads")
    (study,) = write_studies(tmp_path / "chest", per_family=1, families=CHEST)
    hall.archive.store(study.paths[0])
    hall.work()
    assert hall.made() == {"looks"}
    with pytest.raises(Rejected) as refused:
        hall.embedders.embed_groups([written(tmp_path, "A cyst.")])
    assert refused.value.reason == "report"


def test_no_word_of_a_report_is_logged(hall: Hall, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    hall.serve("reads")
    with caplog.at_level(logging.DEBUG):
        hall.archive.store(written(tmp_path, "A cyst, zwixelform."))
        hall.work()
        hall.embedders.embed_text("cyst zwixelform")
    assert caplog.records
    assert "zwixelform" not in caplog.text.lower()


def test_words_are_embedded_by_the_encoder_that_reads(hall: Hall) -> None:
    hall.serve("looks", "reads")
    text = hall.embedders.embed_text("kyste foie")
    assert text.encoder == hall.line_ups.serving.reads("SR")
    np.testing.assert_allclose(text.vector, (AXES[0] + AXES[1]) / 2**0.5, atol=1e-6)


def test_words_that_are_unknown_are_refused_with_the_languages_that_are_read(hall: Hall) -> None:
    hall.serve("reads")
    with pytest.raises(Rejected, match="en, fr") as refused:
        hall.embedders.embed_text("Milzzyste")
    assert refused.value.reason == "unknown_words"


def test_without_an_encoder_that_reads_it_is_said_how_to_get_one(hall: Hall) -> None:
    hall.serve("looks")
    with pytest.raises(NotConfigured) as refused:
        hall.embedders.embed_text("cyst")
    for step in ("cbir train image-text", "cbir export", "cbir encoders activate", "cbir encoders list"):
        assert step in str(refused.value)


def test_reports_that_are_asked_with_become_one_vector(hall: Hall, tmp_path: Path) -> None:
    hall.serve("looks", "reads")
    text = b"Indication: spleen?\n\nConclusion: foie."
    paths = (
        written(tmp_path, "A cyst.", StudyInstanceUID="1.2.4"),
        save(document("1.2.3", text, "text/plain"), tmp_path / "document.dcm"),
    )
    asked = hall.embedders.embed_reports(paths)
    assert asked.encoder == hall.line_ups.serving.reads("SR")
    np.testing.assert_allclose(asked.vector, (AXES[0] + AXES[1]) / 2**0.5, atol=1e-6)
    assert asked.studies == ("1.2.3", "1.2.4")


def test_whose_the_reports_are_is_told_by_keyed_hashes_alone(
    hall: Hall, decoders: Decoders, tmp_path: Path
) -> None:
    pseudonyms = Pseudonyms(b"k" * 32)
    reader = ReportEmbedder(TextEncoder(hall.encoders_dir / "reads"), decoders, pseudonyms.of)
    paths = [written(tmp_path, "A cyst.", PatientID=patient) for patient in ("ZX-7", "ZX-8", "ZX-8", "")]
    asked = reader.embed_together(read_reports(paths, decoders))
    assert set(asked.patients) == {pseudonyms.of("", "ZX-7"), pseudonyms.of("", "ZX-8")}


def test_a_report_asks_with_the_vector_that_it_has_in_the_archive(hall: Hall, tmp_path: Path) -> None:
    hall.serve("reads")
    path = written(tmp_path, "A cyst of the the the the.", "The spleen is the the the.")
    hall.archive.store(path)
    hall.work()
    np.testing.assert_allclose(hall.embedders.embed_reports([path]).vector, vector_of(hall), atol=1e-6)


def test_of_reports_that_are_asked_with_those_that_tell_nothing_are_left_out(
    hall: Hall, tmp_path: Path
) -> None:
    hall.serve("reads")
    rubbish = tmp_path / "rubbish.dcm"
    rubbish.write_bytes(b"no DICOM")
    useless = [
        rubbish,
        written(tmp_path, "A cyst.", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.67"),
        written(tmp_path, "Unheard of.", StudyInstanceUID="1.2.5"),
    ]
    asked = hall.embedders.embed_reports([*useless, written(tmp_path, "Le foie.")])
    np.testing.assert_allclose(asked.vector, AXES[1], atol=1e-6)
    assert asked.reports == 1


def test_a_worker_elsewhere_reads_them_just_so(hall: Hall, tmp_path: Path) -> None:
    hall.serve("looks", "reads")
    paths = (written(tmp_path, "A cyst."), written(tmp_path, "Le foie."))
    here = hall.embedders.embed_reports(paths)
    with serving(create_app(hall.embedders)) as url, InferenceClient(url) as client:
        there = client.embed_reports(paths)
        with pytest.raises(Rejected) as refused:
            client.embed_reports((written(tmp_path, "Milzzyste."),))
    assert (there.encoder, there.studies, there.patients) == (here.encoder, here.studies, here.patients)
    np.testing.assert_array_equal(there.vector, here.vector)
    assert refused.value.reason == "unknown_words"


def test_of_very_many_the_first_are_read(hall: Hall, tmp_path: Path) -> None:
    hall.serve("reads")
    cysts = [written(tmp_path, "A cyst.") for _ in range(MOST_ASKED_WITH)]
    asked = hall.embedders.embed_reports([*cysts, written(tmp_path, "The spleen.")])
    np.testing.assert_allclose(asked.vector, AXES[0], atol=1e-6)


def test_of_very_many_that_tell_nothing_the_first_are_looked_at(hall: Hall, tmp_path: Path) -> None:
    hall.serve("reads")
    empty, cyst = written(tmp_path, "A cyst.", ContentSequence=[]), written(tmp_path, "A cyst.")
    assert hall.embedders.embed_reports([*[empty] * (MOST_REPORTS - 1), cyst]).reports == 1
    with pytest.raises(Rejected) as refused:
        hall.embedders.embed_reports([*[empty] * MOST_REPORTS, cyst])
    assert refused.value.reason == "empty_report"


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Manufacturer": MANUFACTURER}, "own_answer"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"}, "no_report"),
        ({"ContentSequence": []}, "empty_report"),
    ],
)
def test_where_no_report_tells_what_is_seen_that_is_said_whether_or_not_anybody_could_read_it(
    hall: Hall, tmp_path: Path, elements: dict[str, object], reason: str
) -> None:
    path = written(tmp_path, "A cyst.", **elements)
    for encoder in ("looks", "reads"):
        hall.serve(encoder)
        with pytest.raises(Rejected) as refused:
            hall.embedders.embed_reports([path])
        assert refused.value.reason == reason


def test_a_report_in_unknown_words_is_refused_and_without_an_encoder_that_reads_any_is(
    hall: Hall, tmp_path: Path
) -> None:
    hall.serve("reads")
    with pytest.raises(Rejected, match="en, fr") as refused:
        hall.embedders.embed_reports([written(tmp_path, "Milzzyste.")])
    assert refused.value.reason == "unknown_words"
    hall.serve("looks")
    with pytest.raises(NotConfigured, match="cbir encoders activate"):
        hall.embedders.embed_reports([written(tmp_path, "A cyst.")])


def test_no_word_of_a_report_that_is_asked_with_is_logged_or_said(
    hall: Hall, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hall.serve("reads")
    with caplog.at_level(logging.DEBUG):
        hall.embedders.embed_reports([written(tmp_path, "A cyst, zwixelform.")])
        with pytest.raises(Rejected) as refused:
            hall.embedders.embed_reports([written(tmp_path, "Zwixelform.")])
    assert "zwixelform" not in (caplog.text + str(refused.value)).lower()


def test_a_broken_text_tower_is_told_and_holds_up_no_image(hall: Hall, tmp_path: Path) -> None:
    hall.serve("looks", "reads")
    (hall.encoders_dir / "reads" / "text.onnx").write_bytes(b"damaged")
    (study,) = write_studies(tmp_path / "chest", per_family=1, families=CHEST)
    hall.archive.store(study.paths[0])
    hall.work()
    assert hall.row().state is State.INDEXED
    with pytest.raises(EncoderUnavailable, match=r"text\.onnx"):
        hall.embedders.embed_text("cyst")
    hall.archive.delete_series(hall.row().archive_id)
    compared(hall)
    hall.work()
    hall.archive.store(written(tmp_path, "A cyst."))
    hall.work()
    assert (hall.row().state, hall.row().reason) == (State.SKIPPED, "encoder_not_loaded")
    assert compared(hall) == 1, "it is looked at again once the tower is mended"


def compared(hall: Hall) -> int:
    """How many series a comparison finds outdated, or gone."""
    reconciler = Reconciler(
        archive=hall.archive,
        ledger=hall.ledger,
        index=hall.index,
        line_ups=lambda: hall.line_ups,
        quiet_s=0.0,
    )
    found = reconciler.compare(hall.now)
    return found.outdated + found.gone
