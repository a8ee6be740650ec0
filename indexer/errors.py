"""Errors, sorted by what the caller must do."""


class CbirError(Exception):
    """Anything this system says no with; its text says what to do."""


class Rejected(CbirError):
    """The input is at fault: asking again cannot help. HTTP 422; the ledger gives up."""

    reason: str = "rejected"

    def __init__(self, message: str, *, reason: str | None = None) -> None:
        """Say what is wrong and what to do.

        Args:
            message: a sentence for a person, without patient data.
            reason: one word in snake case that the ledger keeps and metrics count.
        """
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class Unsupported(Rejected):
    """There is nothing here to index (a report, a segmentation, our own answer): skipped, not failed."""

    reason = "unsupported"


class TooLarge(Rejected):
    """More than the limits allow. HTTP 413."""

    reason = "too_large"


class NotFound(Rejected):
    """No such study, series, instance or frame. HTTP 404."""

    reason = "not_found"


class NotIndexed(Rejected):
    """Known, but not searchable (yet). HTTP 409, with the state and its reason."""

    reason = "not_indexed"

    def __init__(self, message: str, *, state: str = "", reason: str | None = None) -> None:
        """Say what is wrong; `state` is the ledger's, `reason` why it is in that state."""
        super().__init__(message, reason=reason)
        self.state = state


class NotConfigured(Rejected):
    """What is asked for is possible, and this installation lacks something for it. HTTP 409."""

    reason = "not_configured"


class Unavailable(CbirError):
    """A neighbour did not answer: ask again later. HTTP 503; the ledger keeps the series."""

    reason = "unavailable"


class ArchiveUnavailable(Unavailable):
    """Orthanc, or the folder, did not answer."""

    reason = "archive_unavailable"


class VectorIndexUnavailable(Unavailable):
    """The vector index did not answer."""

    reason = "vector_index_unavailable"


class LedgerUnavailable(Unavailable):
    """The ledger's database did not answer."""

    reason = "ledger_unavailable"


class EncoderUnavailable(Unavailable):
    """The inference worker did not answer."""

    reason = "encoder_unavailable"


class Overloaded(Unavailable):
    """Too many questions at once. HTTP 429."""

    reason = "overloaded"
