"""A report with a planar region of interest, as another vendor's software writes it."""

from __future__ import annotations

from io import BytesIO

import highdicom as hd
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

from indexer.domain import Region

SECOND_QUARTER = Region(0.25, 0.25, 0.25, 0.25)
"""Both ways."""


def measured_report(marked: Dataset, of: Region = SECOND_QUARTER) -> Dataset:
    """A Comprehensive SR (TID 1500, 1410) with a rectangle on one image, of its study."""
    columns, rows = int(marked.Columns), int(marked.Rows)
    left, right = of.left * columns, (of.left + of.width) * columns
    top, bottom = of.top * rows, (of.top + of.height) * rows
    region = hd.sr.ImageRegion(
        graphic_type=hd.sr.GraphicTypeValues.POLYLINE,
        graphic_data=np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]),
        source_image=hd.sr.SourceImageForRegion(marked.SOPClassUID, marked.SOPInstanceUID),
    )
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(uid=generate_uid(), identifier="lesion 1"),
        referenced_region=region,
        measurements=[hd.sr.Measurement(name=codes.SCT.Area, value=1.0, unit=codes.UCUM.SquareMillimeter)],
    )
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(
            observer_person_context=hd.sr.ObserverContext(
                observer_type=codes.DCM.Person,
                observer_identifying_attributes=hd.sr.PersonObserverIdentifyingAttributes(name="Doe^Jane"),
            )
        ),
        procedure_reported=codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=[group],
    )
    report = hd.sr.ComprehensiveSR(
        evidence=[marked],
        content=content[0],
        series_instance_uid=generate_uid(),
        series_number=7,
        sop_instance_uid=generate_uid(),
        instance_number=1,
        manufacturer="Another vendor",
    )
    buffer = BytesIO()
    report.save_as(buffer, enforce_file_format=True)
    return pydicom.dcmread(BytesIO(buffer.getvalue()))
