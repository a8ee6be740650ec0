"""What Orthanc lets out, in both of its versions: described, as stored, transcoded, de-identified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from demo.orthanc import LocalOrthanc
from indexer.adapters.orthanc import OrthancArchive
from indexer.adapters.orthanc.library import METHOD
from indexer.collecting import Shipping
from indexer.errors import ArchiveUnavailable
from indexer.patients import Pseudonyms
from indexer.ports import Coding, Disguise, StoredInstance, WantedCopy
from tests.indexer.adapters.conftest import ct_instance, dicom_bytes
from tests.integration.conftest import Programs

pytestmark = pytest.mark.orthanc

PSEUDONYMS = Pseudonyms(b"a key of the tests")
DISGUISE = Disguise("CASE-0123456789AB", PSEUDONYMS.uid)
CT = "1.2.840.10008.5.1.4.1.1.2"


def named(dataset: Dataset) -> Dataset:
    """With everything that names a person in it."""
    dataset.PatientName, dataset.PatientBirthDate = "Doe^Jane", "19500101"
    dataset.AccessionNumber, dataset.ReferringPhysicianName = "ACC-77", "Ref^Doc"
    dataset.InstitutionName, dataset.StudyDescription = "The Clinic", "for Jane Doe"
    dataset.SeriesDescription, dataset.BodyPartExamined = "of Jane Doe", "HEAD"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CT, "1.2.3.1.99"
    dataset.ReferencedImageSequence = [reference]
    block = dataset.private_block(0x0009, "Jane Doe Systems", create=True)
    block.add_new(1, "LO", "Jane Doe")
    return dataset


@pytest.fixture(scope="module")
def orthanc(programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalOrthanc]:
    """Two series of a study, and one series of it that is RLE."""
    with LocalOrthanc(tmp_path_factory.mktemp("orthanc"), programs=programs) as running:
        with httpx.Client(base_url=running.http_url, auth=running.auth, trust_env=False) as client:
            for series in ("1.2.3.1", "1.2.3.2"):
                for number in (2, 1):
                    made = named(ct_instance(number, series=series, size=32))
                    client.post("/instances", content=dicom_bytes(made)).raise_for_status()
            compressed = named(ct_instance(1, series="1.2.3.3", size=32, fill=7))
            compressed.compress(RLELossless, generate_instance_uid=False)
            client.post("/instances", content=dicom_bytes(compressed)).raise_for_status()
        yield running


@pytest.fixture(scope="module")
def archive(orthanc: LocalOrthanc) -> Iterator[OrthancArchive]:
    with OrthancArchive(orthanc.http_url, user=orthanc.user, password=orthanc.password) as opened:
        yield opened


def series_id(archive: OrthancArchive, series_instance_uid: str) -> str:
    [found] = [
        r.archive_id for r in archive.series_of_study("1.2.3") if r.series_instance_uid == series_instance_uid
    ]
    return found


def instances(archive: OrthancArchive, series_instance_uid: str) -> tuple[StoredInstance, ...]:
    return archive.library.instances_of(series_id(archive, series_instance_uid))


def taken(archive: OrthancArchive, copies: Sequence[WantedCopy], into: Path) -> list[Dataset]:
    into.mkdir(exist_ok=True)
    found = [dcmread(fetched.path) for fetched in archive.library.copies(copies, into)]
    return sorted(found, key=lambda dataset: int(dataset.InstanceNumber))


def test_a_study_is_described_with_all_its_series(archive: OrthancArchive) -> None:
    wanted = series_id(archive, "1.2.3.1")
    found = archive.library.studies_holding([wanted, "00000000-00000000-00000000-00000000-00000000", "no id"])
    assert set(found) == {wanted}
    study = found[wanted]
    assert study.study_instance_uid == "1.2.3"
    assert study.attributes["PatientName"] == "Doe^Jane"
    assert study.attributes["AccessionNumber"] == "ACC-77"
    assert sorted((one.series_instance_uid, one.modality, one.instances) for one in study.series) == [
        ("1.2.3.1", "CT", 2),
        ("1.2.3.2", "CT", 2),
        ("1.2.3.3", "CT", 1),
    ]
    assert "Doe" not in repr(study), "what is logged by mistake names nobody"


def test_it_is_known_how_instances_are_stored(archive: OrthancArchive) -> None:
    both = [*instances(archive, "1.2.3.1"), *instances(archive, "1.2.3.3")]
    assert [instance.instance_number for instance in both] == [1, 2, 1]
    codings = archive.library.codings(both)
    assert [codings[instance.archive_id] for instance in both] == [
        Coding(CT, ExplicitVRLittleEndian),
        Coding(CT, ExplicitVRLittleEndian),
        Coding(CT, RLELossless),
    ]


def test_a_copy_as_it_is_stored_is_the_stored_file(archive: OrthancArchive, tmp_path: Path) -> None:
    [stored] = instances(archive, "1.2.3.3")
    [copy] = taken(archive, [WantedCopy(stored)], tmp_path)
    assert copy.file_meta.TransferSyntaxUID == RLELossless
    assert copy.PatientName == "Doe^Jane"


def test_a_compressed_instance_is_made_readable(archive: OrthancArchive, tmp_path: Path) -> None:
    [stored] = instances(archive, "1.2.3.3")
    [copy] = taken(archive, [WantedCopy(stored, ExplicitVRLittleEndian)], tmp_path)
    assert copy.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert copy.pixel_array.tolist() == [[7] * 32] * 32
    assert (copy.SOPInstanceUID, copy.StudyInstanceUID) == (stored.sop_instance_uid, "1.2.3")
    assert copy.PatientName == "Doe^Jane"


def test_what_cannot_be_transcoded_is_left_out(
    orthanc: LocalOrthanc, archive: OrthancArchive, tmp_path: Path
) -> None:
    broken = ct_instance(5, study="1.2.4", series="1.2.4.1")
    broken.PixelData = encapsulate([b"\xff\x4f\xff\x51 and nothing of a picture"])
    broken["PixelData"].VR, broken["PixelData"].is_undefined_length = "OB", True
    broken.file_meta.TransferSyntaxUID = JPEG2000Lossless
    with httpx.Client(base_url=orthanc.http_url, auth=orthanc.auth, trust_env=False) as client:
        client.post("/instances", content=dicom_bytes(broken)).raise_for_status()
    [reference] = archive.series_of_study("1.2.4")
    [stored] = archive.library.instances_of(reference.archive_id)
    assert taken(archive, [WantedCopy(stored, ExplicitVRLittleEndian)], tmp_path) == []


def test_a_deidentified_study_stays_together_and_names_nobody(
    archive: OrthancArchive, tmp_path: Path
) -> None:
    both = [*instances(archive, "1.2.3.1"), *instances(archive, "1.2.3.2")]
    wanted = [WantedCopy(instance, disguise=DISGUISE) for instance in both]
    copies = taken(archive, wanted, tmp_path / "once")
    assert len(copies) == 4
    assert {copy.StudyInstanceUID for copy in copies} == {PSEUDONYMS.uid("1.2.3")}
    assert {copy.FrameOfReferenceUID for copy in copies} == {PSEUDONYMS.uid("1.2.3.9")}
    assert {copy.SeriesInstanceUID for copy in copies} == {PSEUDONYMS.uid(f"1.2.3.{n}") for n in (1, 2)}
    assert {copy.SOPInstanceUID for copy in copies} == {
        PSEUDONYMS.uid(instance.sop_instance_uid) for instance in both
    }
    for copy, again in zip(copies, taken(archive, wanted, tmp_path / "again"), strict=True):
        assert copy.file_meta.MediaStorageSOPInstanceUID == copy.SOPInstanceUID
        assert again.StudyInstanceUID == copy.StudyInstanceUID
        assert (copy.PatientName, copy.PatientID) == (DISGUISE.name, DISGUISE.name)
        assert (copy.PatientIdentityRemoved, copy.DeidentificationMethod) == ("YES", METHOD)
        assert copy.pixel_array.shape == (32, 32)
        assert not any(element.tag.is_private for element in copy)
        text = str(copy)
        for word in ("Doe", "P1", "1950", "ACC-77", "Ref^", "Clinic", "20240102", "1.2.3.1.99"):
            assert word not in text.replace(PSEUDONYMS.uid("1.2.3"), ""), word


def test_an_instance_that_went_meanwhile_is_left_out(archive: OrthancArchive, tmp_path: Path) -> None:
    gone = StoredInstance(
        "0" * 8 + "-00000000" * 4, "1.9", 1, 1, 100, series_archive_id="0" * 8 + "-00000000" * 4
    )
    wanted = [WantedCopy(gone), WantedCopy(gone, disguise=DISGUISE), WantedCopy(gone, ExplicitVRLittleEndian)]
    assert taken(archive, wanted, tmp_path) == []
    assert archive.library.codings([gone]) == {}
    assert archive.library.instances_of(gone.series_archive_id) == ()


@pytest.fixture
def lossy(programs: Programs, tmp_path: Path) -> Iterator[LocalOrthanc]:
    """Six instances of a series, of which the disk has lost the second."""
    uncached = {"MaximumStorageCacheSize": 0}
    with LocalOrthanc(tmp_path / "lossy", programs=programs, extra=uncached) as running:
        with httpx.Client(base_url=running.http_url, auth=running.auth, trust_env=False) as client:
            for number in range(1, 7):
                made = ct_instance(number, series="1.2.3.1", size=32 if number != 3 else 256)
                client.post("/instances", content=dicom_bytes(made)).raise_for_status()
        lose(running, "1.2.3.1.2")
        yield running


def lose(orthanc: LocalOrthanc, *sop_instance_uids: str) -> None:
    """Take the files of these instances, the whole ones and their headers, from Orthanc's disk."""
    for path in (orthanc.folder / "db").glob("*/*/*"):
        if any(uid.encode() + b"\0" in path.read_bytes() for uid in sop_instance_uids):
            path.unlink()


def test_a_file_that_orthanc_lost_costs_no_other_its_way(lossy: LocalOrthanc, tmp_path: Path) -> None:
    with OrthancArchive(lossy.http_url, user=lossy.user, password=lossy.password) as archive:
        copies = [WantedCopy(instance) for instance in instances(archive, "1.2.3.1")]
        assert len(copies) == 6
        assert [copy.InstanceNumber for copy in taken(archive, copies, tmp_path / "copies")] == [
            1,
            3,
            4,
            5,
            6,
        ]


def test_an_orthanc_that_lost_its_whole_disk_is_asked_again_later(
    lossy: LocalOrthanc, tmp_path: Path
) -> None:
    lose(lossy, *(f"1.2.3.1.{number}" for number in range(1, 7)))
    with OrthancArchive(lossy.http_url, user=lossy.user, password=lossy.password) as archive:
        copies = [WantedCopy(instance) for instance in instances(archive, "1.2.3.1")]
        with pytest.raises(ArchiveUnavailable, match="storage"):
            taken(archive, copies, tmp_path / "copies")


def test_an_instance_that_is_too_large_costs_no_other_its_way(lossy: LocalOrthanc, tmp_path: Path) -> None:
    """Once by what Orthanc says of its size, once by what comes."""
    limit = 20_000
    with OrthancArchive(
        lossy.http_url, user=lossy.user, password=lossy.password, max_instance_bytes=limit
    ) as archive:
        found = instances(archive, "1.2.3.1")
        assert [i.instance_number for i in found if i.size_bytes > limit] == [3]
        copies = taken(archive, [WantedCopy(i) for i in found], tmp_path / "copies")
        assert [copy.InstanceNumber for copy in copies] == [1, 4, 5, 6]
        shipping = Shipping(archive.library, max_instance_bytes=limit)
        parcels = shipping.parcels((instance, None) for instance in found)
        unpacked = {
            p.instance.instance_number: path
            for p, path in shipping.unpacked(parcels, {p.coding for p in parcels})
        }
    assert sorted(number or 0 for number, path in unpacked.items() if path is None) == [2, 3]
