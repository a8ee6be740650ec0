"""Files of a multipart/form-data body, written to the disk as the bytes come (RFC 7578)."""

from __future__ import annotations

from pathlib import Path

from python_multipart.multipart import parse_options_header

from indexer.errors import Rejected
from indexer.intake.multipart import Headers, MultipartReader


class FormReader(MultipartReader):
    """Writes each file of a form into a folder.

    Fields that are no files are refused: the options of a question stand in the query, where they are
    checked.
    """

    body = "form"
    suffix = ".upload"

    def __init__(self, content_type: str, into: Path, *, max_bytes: int) -> None:
        """Prepare to read.

        Args:
            content_type: the request's Content-Type header.
            into: an empty folder.
            max_bytes: the largest body that is read, boundaries and headers included.

        Raises:
            Rejected: the content type has no boundary.
        """
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise Rejected("The Content-Type has no boundary.", reason="bad_content_type")
        super().__init__(boundary, into, max_bytes=max_bytes)

    def check_part(self, number: int, headers: Headers) -> None:
        """A file has a filename."""
        dispositions = (value for name, value in headers if name == b"content-disposition")
        if not any(b"filename" in parse_options_header(value)[1] for value in dispositions):
            raise Rejected(
                f"Part {number} of the form is a field and no file: put options into the query.",
                reason="bad_multipart",
            )
