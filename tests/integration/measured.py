"""Where the report with a planar region of interest is written."""

from tests.fakes.measured import measured_report

__all__ = ["measured_report"]
