"""What is wrong with a benchmark, or with vectors that are to be scored."""

from __future__ import annotations

from indexer.errors import Rejected


class BenchmarkError(Rejected):
    """A benchmark's folder, its labels or the vectors given for it cannot be used; the text says why."""

    reason = "benchmark"
