"""What is uploaded, whatever its form, becomes DICOM files in a folder of their own, within limits."""

from indexer.intake.receiving import KINDS, Received, reader_for, received

__all__ = ["KINDS", "Received", "reader_for", "received"]
