"""Sending cases to another application entity: chosen ones, or the best ones of an answer."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from indexer.collecting.cases import Cases, without_our_answers
from indexer.collecting.policy import Deidentify, Policy
from indexer.collecting.shipping import Parcel, Shipping
from indexer.collecting.watching import SentStudy, Watch
from indexer.destinations import Destination
from indexer.errors import ArchiveUnavailable, NotFound, Rejected
from indexer.ledger import KeptAnswer
from indexer.ports import Access, Archive, ArchivedStudy, Caller, Carriage, Carrier, Library

logger = logging.getLogger(__name__)

MAX_STUDIES: Final = 20
PLACE_WAIT_S: Final = 10.0
NOBODY: Final = Watch()


@dataclass(frozen=True, slots=True)
class Shipment:
    """What goes where, by Study Instance UID, and who wants it."""

    parcels: Mapping[str, tuple[Parcel, ...]]
    destination: Destination
    caller: str

    @property
    def instances(self) -> int:
        """How many instances there are to send."""
        return sum(len(several) for several in self.parcels.values())


class Sending:
    """Brings studies to the destinations that are configured, and to no other."""

    def __init__(
        self,
        *,
        archive: Archive,
        library: Library,
        access: Access,
        policy: Policy,
        shipping: Shipping,
        carrier: Carrier,
        destinations: Sequence[Destination],
    ) -> None:
        """Take the archive, who may see what, how copies are taken out and brought, and where to."""
        self._archive = archive
        self._library = library
        self._access = access
        self._policy = policy
        self._shipping = shipping
        self._carrier = carrier
        self._destinations = {d.ae_title: d for d in reversed(destinations)}

    @property
    def destinations(self) -> tuple[str, ...]:
        """The AE titles that may be sent to."""
        return tuple(sorted(self._destinations))

    @property
    def deidentify(self) -> Deidentify:
        """Which studies go out without who they are."""
        return self._policy.deidentify

    def prepared(
        self, study_instance_uids: Sequence[str], ae_title: str, caller: Caller, *, example: str = ""
    ) -> Shipment:
        """Whole studies that may be sent; nothing is sent yet.

        Args:
            study_instance_uids: as the archive has them, 20 at most.
            ae_title: where to.
            caller: who wants it; all of a study must be visible to it.
            example: the study that the caller says it asked about: further studies of its patient, as the
                index knows the patient, are no "other" patient's. It is no proof of itself; and one that
                is not indexed, or not shown to the caller, tells of nobody.

        Raises:
            NotFound: no such destination, or a study that is not there or not shown to the caller.
            NotConfigured: the archive cannot de-identify what must be.
            Unavailable: the archive does not answer.
        """
        destination = self._destinations.get(ae_title)
        if destination is None:
            raise NotFound(
                f"{ae_title[:16]!r} is no destination: name it in CBIR_DESTINATIONS or CBIR_CALLERS.",
                reason="unknown_destination",
            )
        uids = list(dict.fromkeys(study_instance_uids))
        if not 1 <= len(uids) <= MAX_STUDIES:
            raise Rejected(f"{len(uids)} studies are named: name 1 to {MAX_STUDIES}.")
        own = self._patient_of_example(example, caller)
        studies = {uid: self._studies(uid, caller) for uid in uids}
        parcels = {
            uid: self._parcels(found, frozenset() if uid == example else own)
            for uid, found in studies.items()
        }
        return Shipment(parcels, destination, caller.name)

    def ship(self, shipment: Shipment, watch: Watch = NOBODY) -> tuple[SentStudy, ...]:
        """Send what was prepared.

        Raises:
            Unavailable: the destination or the archive does not answer, or `watch` called it off; nothing
                or a part was sent.
        """
        return self._ship(shipment, watch)

    def push(
        self,
        cases: Cases,
        answer: KeptAnswer,
        top: int,
        destination: Destination,
        *,
        done: Collection[str] = (),
        watch: Watch = NOBODY,
    ) -> None:
        """Send the best cases of an answer, without those `done` already.

        Raises:
            NotConfigured: the archive cannot de-identify what must be.
            Unavailable: as `ship`; those that `watch` was told are through need not be sent again.
        """
        parcels: dict[str, tuple[Parcel, ...]] = {}
        for case in cases.of_answer(answer, top):
            uid = case.study.study_instance_uid  # which two patients may share by mistake
            if uid not in done:
                instances = (i for series in case.series for i in cases.instances(series))
                several = self._shipping.parcels((instance, case.disguise) for instance in instances)
                parcels[uid] = (*parcels.get(uid, ()), *several)
        self._ship(Shipment(parcels, destination, answer.caller), watch)

    def _studies(self, study_instance_uid: str, caller: Caller) -> tuple[ArchivedStudy, ...]:
        """Those of every patient who carries this UID, without our answers."""
        series = self._archive.series_of_study(study_instance_uid)
        archive_ids = {reference.archive_id for reference in series}
        if not archive_ids or self._access.visible(caller, series) != archive_ids:
            raise NotFound(f"There is no study {study_instance_uid}.")
        found = self._library.studies_holding(sorted(archive_ids))
        unique = {
            (study.attributes.get("PatientID", ""), study.study_instance_uid): study
            for study in found.values()
        }
        return tuple(without_our_answers(study) for study in unique.values())

    def _patient_of_example(self, example: str, caller: Caller) -> frozenset[str]:
        """The pseudonym it is indexed under; several where patients share the UID by mistake."""
        try:
            studies = self._studies(example, caller) if example else ()
        except NotFound:
            return frozenset()
        return frozenset(study.patient for study in studies if study.patient)

    def _parcels(self, studies: Sequence[ArchivedStudy], own: frozenset[str]) -> tuple[Parcel, ...]:
        return self._shipping.parcels(
            (instance, self._policy.disguise(study, of_the_asker=study.patient in own))
            for study in studies
            for series in study.series
            for instance in self._library.instances_of(series.archive_id)
        )

    def _ship(self, shipment: Shipment, watch: Watch) -> tuple[SentStudy, ...]:
        """A study that the archive cannot give now does not keep the others; then it is told of."""
        parcels, destination = shipment.parcels, shipment.destination
        codings = {p.coding for several in parcels.values() for p in several if p.may_leave}
        if not codings:
            return tuple(SentStudy(uid, 0, len(several)) for uid, several in parcels.items())
        sent: list[SentStudy] = []
        missing: ArchiveUnavailable | None = None
        with (
            self._shipping.place(timeout_s=PLACE_WAIT_S),
            self._carrier.open(destination, codings) as carriage,
        ):
            for uid, several in parcels.items():
                try:
                    study = self._ship_study(uid, several, carriage, watch)
                except ArchiveUnavailable as error:
                    missing = error
                    continue
                sent.append(study)
                watch.through(study)
                logger.info(
                    "study_sent caller=%s destination=%s study=%s sent=%d failed=%d deidentified=%s",
                    shipment.caller,
                    destination.ae_title,
                    uid,
                    study.sent,
                    study.failed,
                    any(parcel.disguise is not None for parcel in several),
                )
        if missing is not None:
            raise missing
        return tuple(sent)

    def _ship_study(self, uid: str, parcels: Sequence[Parcel], carriage: Carriage, watch: Watch) -> SentStudy:
        study = SentStudy(uid, 0, 0)
        watch.so_far(study)
        with closing(self._shipping.unpacked(parcels, carriage.taken)) as unpacked:
            for _, path in unpacked:
                arrived = path is not None and carriage.store(path)
                study = SentStudy(uid, study.sent + arrived, study.failed + (not arrived))
                watch.so_far(study)
        return study
