"""Every archive keeps the same promises: the fake, a folder, and a real Orthanc."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from indexer.errors import NotFound
from indexer.ports import Archive, ListedSeries, StoredInstance, StoredSeries
from tests.indexer.adapters.conftest import Shelf, ct_instance, dicom_bytes


def only_series(archive: Archive) -> ListedSeries:
    (listed,) = archive.list_series()
    return listed


def stored(archive: Archive) -> StoredSeries:
    return archive.series(only_series(archive).reference.archive_id)


def test_an_empty_archive_lists_nothing(shelf: Shelf) -> None:
    assert list(shelf.archive.list_series()) == []


def test_every_series_is_listed_once_with_its_uids_and_modality(shelf: Shelf) -> None:
    shelf.store(
        ct_instance(1, study="1.2.3", series="1.2.3.1"),
        ct_instance(2, study="1.2.3", series="1.2.3.1"),
        ct_instance(1, study="1.2.3", series="1.2.3.2"),
        ct_instance(1, study="1.2.4", series="1.2.4.1", patient="P2"),
    )
    listed = list(shelf.archive.list_series())
    assert sorted(
        (s.reference.study_instance_uid, s.reference.series_instance_uid, s.modality) for s in listed
    ) == [("1.2.3", "1.2.3.1", "CT"), ("1.2.3", "1.2.3.2", "CT"), ("1.2.4", "1.2.4.1", "CT")]
    assert len({s.reference.archive_id for s in listed}) == 3


def test_a_series_by_itself_is_as_it_is_listed(shelf: Shelf) -> None:
    shelf.store(ct_instance(1), ct_instance(2))
    listed = only_series(shelf.archive)
    alone = shelf.archive.series(listed.reference.archive_id).listed
    assert (alone.reference, alone.modality) == (listed.reference, listed.modality)
    if alone.stable == listed.stable:
        assert alone.revision == listed.revision


def test_instances_are_described_before_they_are_fetched(shelf: Shelf) -> None:
    datasets = [ct_instance(1), ct_instance(2)]
    datasets[1].NumberOfFrames = 1
    del datasets[1].InstanceNumber
    shelf.store(*datasets)
    found = sorted(stored(shelf.archive).instances, key=lambda i: i.sop_instance_uid)
    assert [i.sop_instance_uid for i in found] == ["1.2.3.1.1", "1.2.3.1.2"]
    assert [i.instance_number for i in found] == [1, None]
    assert [i.number_of_frames for i in found] == [1, 1]
    assert [i.position_mm for i in found] == [2.5, 5.0]
    assert [i.size_bytes for i in found] == [len(dicom_bytes(d)) for d in datasets]


def test_the_frames_of_a_multi_frame_instance_are_counted(shelf: Shelf) -> None:
    dataset = ct_instance(1)
    dataset.NumberOfFrames = 3
    dataset.PixelData = dataset.PixelData * 3
    shelf.store(dataset)
    assert [i.number_of_frames for i in stored(shelf.archive).instances] == [3]


def test_what_is_fetched_is_what_was_stored(shelf: Shelf, tmp_path: Path) -> None:
    sent = {d.SOPInstanceUID: d for d in (ct_instance(n, fill=n) for n in range(1, 12))}
    shelf.store(*sent.values())
    fetched = list(shelf.archive.fetch(stored(shelf.archive).instances, tmp_path))
    assert {f.instance.sop_instance_uid for f in fetched} == sent.keys()
    assert len({f.path for f in fetched}) == len(sent)
    for one in fetched:
        assert dcmread(one.path).PixelData == sent[one.instance.sop_instance_uid].PixelData


def test_an_instance_that_is_gone_meanwhile_is_left_out(shelf: Shelf, tmp_path: Path) -> None:
    datasets = [ct_instance(n) for n in range(1, 4)]
    shelf.store(*datasets)
    instances = stored(shelf.archive).instances
    shelf.delete(datasets[1])
    fetched = list(shelf.archive.fetch(instances, tmp_path))
    assert sorted(f.instance.sop_instance_uid for f in fetched) == ["1.2.3.1.1", "1.2.3.1.3"]


def test_nothing_asked_is_nothing_fetched(shelf: Shelf, tmp_path: Path) -> None:
    assert list(shelf.archive.fetch([], tmp_path)) == []


def test_a_series_that_is_gone_is_not_found(shelf: Shelf) -> None:
    shelf.store(ct_instance(1))
    archive_id = only_series(shelf.archive).reference.archive_id
    shelf.delete(ct_instance(1))
    with pytest.raises(NotFound):
        shelf.archive.series(archive_id)
    assert list(shelf.archive.list_series()) == []


@pytest.mark.parametrize("archive_id", ["", "nonsense", "../system", "1.2/3.4", "0" * 44])
def test_a_name_that_no_series_has_is_not_found(shelf: Shelf, archive_id: str) -> None:
    with pytest.raises(NotFound):
        shelf.archive.series(archive_id)


def test_the_fingerprint_stays_while_nothing_changes(shelf: Shelf) -> None:
    shelf.store(ct_instance(1), ct_instance(2))
    assert stored(shelf.archive).fingerprint == stored(shelf.archive).fingerprint


def test_an_instance_more_is_another_fingerprint_and_revision(shelf: Shelf) -> None:
    shelf.store(ct_instance(1))
    before = stored(shelf.archive)
    shelf.store(ct_instance(2))
    after = stored(shelf.archive)
    assert before.fingerprint != after.fingerprint
    assert before.listed.revision != after.listed.revision
    assert only_series(shelf.archive).revision != before.listed.revision


def test_an_instance_fewer_is_another_fingerprint_and_revision(shelf: Shelf) -> None:
    shelf.store(ct_instance(1), ct_instance(2))
    before = stored(shelf.archive)
    shelf.delete(ct_instance(2))
    after = stored(shelf.archive)
    assert before.fingerprint != after.fingerprint
    assert before.listed.revision != after.listed.revision


def test_the_same_instance_with_other_pixels_is_another_fingerprint(shelf: Shelf, tmp_path: Path) -> None:
    shelf.store(ct_instance(1), ct_instance(2))
    before = stored(shelf.archive)
    shelf.store(ct_instance(2, fill=7))
    after = stored(shelf.archive)
    assert [i.sop_instance_uid for i in sorted(after.instances, key=lambda i: i.sop_instance_uid)] == [
        "1.2.3.1.1",
        "1.2.3.1.2",
    ]
    assert before.fingerprint != after.fingerprint
    fetched = {f.instance.sop_instance_uid: f.path for f in shelf.archive.fetch(after.instances, tmp_path)}
    assert dcmread(fetched["1.2.3.1.2"]).PixelData == ct_instance(2, fill=7).PixelData


def test_an_instance_is_found_by_its_uid(shelf: Shelf) -> None:
    shelf.store(ct_instance(1), ct_instance(2))
    found = shelf.archive.find_instance("1.2.3.1.2")
    assert found in stored(shelf.archive).instances
    assert (found.sop_instance_uid, found.instance_number) == ("1.2.3.1.2", 2)


@pytest.mark.parametrize("uid", ["1.2.3.1.99", "", "1.2.3", "*", "1.2.3.1.?"])
def test_a_uid_that_no_instance_has_is_not_found(shelf: Shelf, uid: str) -> None:
    shelf.store(ct_instance(1))
    with pytest.raises(NotFound):
        shelf.archive.find_instance(uid)


def test_the_series_of_a_study_are_found_by_its_uid(shelf: Shelf) -> None:
    shelf.store(
        ct_instance(1, study="1.2.3", series="1.2.3.1"),
        ct_instance(1, study="1.2.3", series="1.2.3.2"),
        ct_instance(1, study="1.2.34", series="1.2.34.1"),
    )
    found = shelf.archive.series_of_study("1.2.3")
    listed = {s.reference for s in shelf.archive.list_series()}
    assert {r.series_instance_uid for r in found} == {"1.2.3.1", "1.2.3.2"}
    assert set(found) < listed


@pytest.mark.parametrize("uid", ["1.9.9", "", "*", "1.2"])
def test_an_unknown_study_has_no_series(shelf: Shelf, uid: str) -> None:
    shelf.store(ct_instance(1))
    assert shelf.archive.series_of_study(uid) == ()


def test_an_instance_that_never_was_is_left_out(shelf: Shelf, tmp_path: Path) -> None:
    never = StoredInstance("00000000-00000000-00000000-00000000-00000000", "1.2", 1, 1, 10)
    assert list(shelf.archive.fetch([never], tmp_path)) == []
