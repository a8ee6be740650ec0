"""The content tree of an answer: TID 1500, a measurement group a case.

The template's rows are highdicom's; the root is put together here, because highdicom's own
`MeasurementReport` cannot say that nothing was found.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import highdicom.sr as hd
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from indexer.answers import concepts
from indexer.answers.example import ExampleInstance
from indexer.answers.identity import MANUFACTURER, MODEL_NAME, derived_uid, software_version
from indexer.answers.sr_items import CONTAINS, printable


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
            hd.TextContentItem(name=name, value=printable(text), relationship_type=CONTAINS)
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


def _container(name: Code) -> hd.ContainerContentItem:
    container = hd.ContainerContentItem(name=name, relationship_type=CONTAINS)
    container.ContentSequence = hd.ContentSequence()
    return container
