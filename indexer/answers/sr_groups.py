"""The matches of an answer as measurement groups (TID 1501), one a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import highdicom.sr as hd
import numpy as np
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from indexer.answers import concepts
from indexer.answers.identity import MANUFACTURER, derived_uid
from indexer.answers.sr_items import CONTAINS, image_item, printable
from indexer.answers.words import likeness_of
from indexer.domain import FrameReference, Match, Region
from indexer.search.question import RegionOfInterest

Lane = Literal["case", "same-patient"]
_NAMES: Final[dict[Lane, str]] = {"case": "Case", "same-patient": "Same patient"}


@dataclass(frozen=True, slots=True)
class Grouping:
    """What the groups of one answer have in common.

    Attributes:
        question_id: their UIDs are derived from it.
        opaque: no match is named.
        sizes: rows and columns of frames, by SOP Instance UID, as far as they are known: a place on a frame
            of unknown size cannot be written.
        region: what was asked about.
    """

    question_id: str
    opaque: bool = False
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    region: RegionOfInterest | None = None

    def of(self, match: Match, lane: Lane = "case") -> hd.ContentSequence:
        """One case as a measurement group (TID 1501).

        The example's frame is the group's "Source". The similar image is what was found, not what was
        measured, so it carries a concept of its own; opaque groups leave it out and say only "Case N".
        """
        group = hd.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=hd.TrackingIdentifier(
                uid=derived_uid(self.question_id, lane, str(match.rank)),
                identifier=f"{_NAMES[lane]} {match.rank}",
            ),
            algorithm_id=hd.AlgorithmIdentification(
                name=match.encoder.name, version=f"sha256:{match.encoder.sha256}", manufacturer=MANUFACTURER
            ),
            measurements=_measurements(match),
            qualitative_evaluations=_qualities(match, lane),
        )
        content = group[0].ContentSequence
        carried_by = _carried_by(match)
        if carried_by:
            content.append(
                hd.TextContentItem(name=concepts.CARRIED_BY, value=carried_by, relationship_type=CONTAINS)
            )
        if match.example_frame is not None:
            content.append(image_item(concepts.SOURCE, match.example_frame))
            region = self.region
            if region is not None and _is_on(region, match.example_frame):
                content.extend(
                    self._rectangle(concepts.REGION, concepts.SOURCE, match.example_frame, region.region)
                )
        if not self.opaque:
            content.append(image_item(concepts.SIMILAR_IMAGE, match.frame))
            if match.place is not None:
                content.extend(
                    self._rectangle(concepts.PLACE, concepts.SIMILAR_IMAGE, match.frame, match.place)
                )
        return group

    def _rectangle(
        self, name: Code, role: Code, frame: FrameReference, part: Region
    ) -> list[hd.ScoordContentItem]:
        """A part of a frame as a closed polyline, in pixels from its top left corner (PS3.3 C.18.6)."""
        size = self.sizes.get(frame.sop_instance_uid)
        if size is None:
            return []
        rows, columns = size
        across = np.clip([part.left, part.left + part.width], 0, 1) * columns
        down = np.clip([part.top, part.top + part.height], 0, 1) * rows
        (left, right), (top, bottom) = across, down
        item = hd.ScoordContentItem(
            name=name,
            graphic_type=hd.GraphicTypeValues.POLYLINE,
            graphic_data=np.array(
                [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]], dtype=np.float32
            ),
            relationship_type=CONTAINS,
        )
        image = image_item(role, frame)
        image.RelationshipType = hd.RelationshipTypeValues.SELECTED_FROM.value
        item.ContentSequence = hd.ContentSequence([image])
        return [item]


def _measurements(match: Match) -> list[hd.Measurement]:
    measured = [
        hd.Measurement(name=concepts.SIMILARITY, value=round(match.score, 6), unit=codes.UCUM.NoUnits),
        hd.Measurement(name=concepts.RANK, value=match.rank, unit=codes.UCUM.NoUnits),
    ]
    if match.percent is not None:
        measured.append(
            hd.Measurement(name=concepts.PERCENTAGE, value=round(match.percent, 3), unit=codes.UCUM.Percent)
        )
    return measured


def _qualities(match: Match, lane: Lane) -> list[hd.QualitativeEvaluation]:
    whose = concepts.SAME_PATIENT if lane == "same-patient" else concepts.OTHER_PATIENT
    if match.possible_same_person:
        whose = concepts.POSSIBLE_SAME_PERSON
    found = [hd.QualitativeEvaluation(name=concepts.WHOSE, value=whose)]
    likeness = concepts.LIKENESSES.get(likeness_of(match))
    if likeness is not None:
        found.append(hd.QualitativeEvaluation(name=concepts.LIKENESS, value=likeness))
    return found


def _carried_by(match: Match) -> str:
    """The series of the example that the match answers best, in words of ours."""
    if not match.sequences:
        return ""
    attributes = match.sequences[0].example_attributes
    return printable(" ".join((attributes.modality, attributes.sequence, attributes.plane)))


def _is_on(region: RegionOfInterest, frame: FrameReference) -> bool:
    return (region.sop_instance_uid, region.frame_number) == (frame.sop_instance_uid, frame.frame_number)
