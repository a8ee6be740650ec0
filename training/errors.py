"""What is wrong with what was given to learn from."""

from __future__ import annotations

from indexer.errors import Rejected


class TrainingError(Rejected):
    """A training set, a configuration or a run's folder cannot be used; the text says why and what to do."""

    reason = "training"
