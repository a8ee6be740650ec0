"""The content tree of an answer: TID 1500, a measurement group a case.

The template's rows are highdicom's; the root is put together here, because highdicom's own
`MeasurementReport` cannot say that nothing was found.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import highdicom.sr as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from indexer.answers import concepts
from indexer.answers.example import ExampleInstance
from indexer.answers.identity import (
    MANUFACTURER,
    MODEL_NAME,
    derived_uid,
    software_version,
)
from indexer.answers.words import likeness_of
from indexer.domain import FrameReference, Match, Region
from indexer.search.question import RegionOfInterest

CONTAINS: Final = hd.RelationshipTypeValues.CONTAINS
Lane = Literal["case", "same-patient"]
_NAMES: Final[dict[Lane, str]] = {"case": "Case", "same-patient": "Same patient"}

_PLAIN: Final = str.maketrans(
    {
        "\N{LEFT DOUBLE QUOTATION MARK}": '"',
        "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
        "\N{LEFT SINGLE QUOTATION MARK}": "'",
        "\N{RIGHT SINGLE QUOTATION MARK}": "'",
        "\N{EN DASH}": "-",
        "\N{EM DASH}": "-",
    }
)

# Of these an instance has one frame, and a reference names none (PS3.3 10.3, Referenced Frame Number).
_SINGLE_FRAME: Final = frozenset(
    f"1.2.840.10008.5.1.4.1.1.{leaf}"
    for leaf in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1"),
        *("2", "4", "6", "6.1", "7", "128"),
        *("77.1.1", "77.1.2", "77.1.3", "77.1.4"),
    )
)


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
            content.append(_image(concepts.SOURCE, match.example_frame))
            region = self.region
            if region is not None and _is_on(region, match.example_frame):
                content.extend(
                    self._rectangle(concepts.REGION, concepts.SOURCE, match.example_frame, region.region)
                )
        if not self.opaque:
            content.append(_image(concepts.SIMILAR_IMAGE, match.frame))
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
        image = _image(role, frame)
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
    return _printable(" ".join((attributes.modality, attributes.sequence, attributes.plane)))


def _is_on(region: RegionOfInterest, frame: FrameReference) -> bool:
    return (region.sop_instance_uid, region.frame_number) == (frame.sop_instance_uid, frame.frame_number)


def root(
    *,
    outcome: Code,
    asked: Sequence[str],
    comments: Sequence[str],
    library: Iterable[ExampleInstance],
    groups: Sequence[hd.ContentSequence],
) -> Dataset:
    """The whole tree: who observed, the example's images, the matches, the outcome in words.

    Args:
        outcome: one of `concepts.FOUND`, `NONE_FOUND` and `REFUSED`.
        asked: phrases that say how it was asked.
        comments: sentences for a person.
        library: the images of the example that the answer is about.
        groups: what `Grouping.of` made, in rank order.
    """
    tree = hd.ContainerContentItem(name=codes.DCM.ImagingMeasurementReport, template_id="1500")
    tree.ContentSequence = hd.ContentSequence()
    tree.ContentSequence.extend(
        hd.LanguageOfContentItemAndDescendants(hd.CodedConcept("en-US", "RFC5646", "English (United States)"))
    )
    tree.ContentSequence.extend(_observer())
    tree.ContentSequence.append(
        hd.CodeContentItem(
            name=codes.DCM.ProcedureReported,
            value=codes.SCT.ImagingProcedure,
            relationship_type=hd.RelationshipTypeValues.HAS_CONCEPT_MOD,
        )
    )
    images = tuple(library)
    if images:
        tree.ContentSequence.append(_image_library(images))
    if groups:
        measurements = _container(codes.DCM.ImagingMeasurements)
        for group in groups:
            measurements.ContentSequence.extend(group)
        tree.ContentSequence.append(measurements)
    tree.ContentSequence.append(_evaluations(outcome, asked, comments))
    return tree


def _evaluations(outcome: Code, asked: Sequence[str], comments: Sequence[str]) -> hd.ContainerContentItem:
    evaluations = _container(concepts.QUALITATIVE_EVALUATIONS)
    evaluations.ContentSequence.append(
        hd.CodeContentItem(name=concepts.OUTCOME, value=outcome, relationship_type=CONTAINS)
    )
    said = [
        *((concepts.ASKED, phrase) for phrase in asked),
        *((codes.DCM.Comment, text) for text in comments),
    ]
    for name, text in said:
        evaluations.ContentSequence.append(
            hd.TextContentItem(name=name, value=_printable(text), relationship_type=CONTAINS)
        )
    return evaluations


def _observer() -> hd.ObservationContext:
    return hd.ObservationContext(
        observer_device_context=hd.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=hd.DeviceObserverIdentifyingAttributes(
                uid=derived_uid("device"),
                name=f"{MANUFACTURER} {software_version()}",
                manufacturer_name=MANUFACTURER,
                model_name=MODEL_NAME,
            ),
        )
    )


def _image_library(images: Sequence[ExampleInstance]) -> hd.ContainerContentItem:
    """TID 1600: a group a modality."""
    by_modality: dict[str, list[ExampleInstance]] = defaultdict(list)
    for image in images:
        by_modality[image.modality].append(image)
    library = _container(codes.DCM.ImageLibrary)
    for modality, members in by_modality.items():
        group = _container(codes.DCM.ImageLibraryGroup)
        group.ContentSequence.append(
            hd.CodeContentItem(
                name=codes.DCM.Modality,
                value=_modality_code(modality),
                relationship_type=hd.RelationshipTypeValues.HAS_ACQ_CONTEXT,
            )
        )
        for member in members:
            group.ContentSequence.append(
                hd.ImageContentItem(
                    name=concepts.SOURCE,
                    referenced_sop_class_uid=member.sop_class_uid,
                    referenced_sop_instance_uid=member.sop_instance_uid,
                    relationship_type=CONTAINS,
                )
            )
        library.ContentSequence.append(group)
    return library


def _modality_code(modality: str) -> Code:
    """The code of CID 29 whose value is the defined term."""
    known: Iterable[Code] = (getattr(codes.cid29, name) for name in codes.cid29.dir())
    other: Code = codes.DCM.OtherModality
    return next((code for code in known if code.value == modality), other)


def _image(purpose: Code, frame: FrameReference) -> hd.ImageContentItem:
    return hd.ImageContentItem(
        name=purpose,
        referenced_sop_class_uid=frame.sop_class_uid,
        referenced_sop_instance_uid=frame.sop_instance_uid,
        referenced_frame_numbers=None if frame.sop_class_uid in _SINGLE_FRAME else frame.frame_number,
        relationship_type=CONTAINS,
    )


def _container(name: Code) -> hd.ContainerContentItem:
    container = hd.ContainerContentItem(name=name, relationship_type=CONTAINS)
    container.ContentSequence = hd.ContentSequence()
    return container


def _printable(text: str) -> str:
    """ASCII on one line: an answer is written in the example's character set, whichever that is.

    Latin letters lose their accents, and what is no Latin letter becomes a question mark.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_PLAIN))
    bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
    return " ".join(bare.encode("ascii", "replace").decode("ascii").split())
