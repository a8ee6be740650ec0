"""Of a study that Orthanc de-identifies, in both of its versions, only what can name nobody goes out."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import BasicTextSRStorage, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from demo.orthanc import LocalOrthanc
from indexer.adapters.orthanc import OrthancArchive
from indexer.collecting import Shipping
from indexer.patients import Pseudonyms
from indexer.ports import Disguise
from tests.indexer.adapters.conftest import ct_instance, dicom_bytes
from tests.integration.conftest import Programs

pytestmark = pytest.mark.orthanc

DISGUISE = Disguise("CASE-0123456789AB", Pseudonyms(b"a key of the tests").uid)
IMAGE, ANNOTATED, DOCUMENT, REPORT = "1.2.3.1.1", "1.2.3.1.2", "1.2.3.7.1", "1.2.3.8.1"


def image() -> Dataset:
    """A frame with a name on an overlay, and wherever else an image may have one."""
    dataset = ct_instance(1)
    dataset.ImageComments = dataset.ProtocolName = dataset.PatientComments = "Jane Doe"
    dataset.DocumentTitle = dataset.AdditionalPatientHistory = "of Jane Doe"
    for group in (0x6000, 0x601E):
        for element, vr, value in (
            *((0x10, "US", 16), (0x11, "US", 16), (0x40, "CS", "G"), (0x50, "SS", [1, 1])),
            *((0x100, "US", 1), (0x102, "US", 0), (0x22, "LO", "Jane Doe"), (0x1500, "LO", "Jane Doe")),
            *((0x3000, "OW", b"Jane Doe" * 4), (0x4000, "LT", "Jane Doe")),
        ):
            dataset.add_new((group, element), vr, value)
    return dataset


def document(sop_class: str, sop_instance_uid: str) -> Dataset:
    """An object of the study that has no pixels, with what all of them have."""
    dataset = ct_instance()
    for keyword in ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit"):
        delattr(dataset, keyword)
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop_instance_uid
    dataset.SeriesInstanceUID = sop_instance_uid.rpartition(".")[0]
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@pytest.fixture(scope="module")
def archive(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OrthancArchive]:
    annotated = ct_instance(2)
    annotated.BurnedInAnnotation = "YES"
    letter = document(EncapsulatedPDFStorage, DOCUMENT)
    letter.Modality, letter.DocumentTitle = "DOC", "Letter about Jane Doe"
    letter.EncapsulatedDocument = b"%PDF-1.4 Dear Jane Doe "
    letter.MIMETypeOfEncapsulatedDocument = "application/pdf"
    report = document(BasicTextSRStorage, REPORT)
    item = Dataset()
    item.ValueType, item.TextValue = "TEXT", "Jane Doe has a cough."
    report.Modality, report.ContentSequence = "SR", [item]
    with LocalOrthanc(tmp_path_factory.mktemp("orthanc"), programs=programs) as running:
        with httpx.Client(base_url=running.http_url, auth=running.auth, trust_env=False) as client:
            for dataset in (image(), annotated, letter, report):
                client.post("/instances", content=dicom_bytes(dataset)).raise_for_status()
        with OrthancArchive(running.http_url, user=running.user, password=running.password) as opened:
            yield opened


def unpacked(archive: OrthancArchive, disguise: Disguise | None) -> dict[str, str | None]:
    """Every instance of the study by its UID, and the letters of its copy; None for one that does not go."""
    library, shipping = archive.library, Shipping(archive.library)
    instances = [i for r in archive.series_of_study("1.2.3") for i in library.instances_of(r.archive_id)]
    parcels = shipping.parcels((instance, disguise) for instance in instances)
    copies = shipping.unpacked(parcels, {parcel.coding for parcel in parcels})
    return {
        p.instance.sop_instance_uid: None if path is None else path.read_bytes().decode("latin-1")
        for p, path in copies
    }


def test_documents_reports_and_annotated_frames_do_not_go_without_their_names(
    archive: OrthancArchive,
) -> None:
    found = unpacked(archive, DISGUISE)
    assert set(found) == {IMAGE, ANNOTATED, DOCUMENT, REPORT}
    assert [uid for uid, copy in found.items() if copy is not None] == [IMAGE]
    assert "Doe" not in str(found[IMAGE])
    assert "CASE-0123456789AB" in str(found[IMAGE])


def test_all_of_it_goes_with_its_names(archive: OrthancArchive) -> None:
    found = unpacked(archive, None)
    assert len(found) == 4
    assert all("Doe" in str(copy) for copy in found.values())
