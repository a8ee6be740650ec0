"""The Identifier of a query or a retrieval: read tolerantly, and written with nothing that was not asked."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from pydicom import config
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID
from pynetdicom.dsutils import decode

from indexer.ae.rows import LEVELS, OF_LEVEL, UNIQUE, Level, Row, Values
from indexer.errors import Rejected

MAX_BYTES: Final = 65_536
"""Of an Identifier; an honest one has a few hundred."""

_NOT_KEYS: Final = frozenset({"QueryRetrieveLevel", "SpecificCharacterSet", "TimezoneOffsetFromUTC"})
_NEVER_UNSUPPORTED: Final = frozenset({"RetrieveAETitle", "InstanceAvailability"})


class BadIdentifier(Rejected):
    """The Identifier is none that this information model has (status A900)."""

    reason = "bad_identifier"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for.

    `keys` are the supported attributes that were named, with what they must be; `returned` are all the
    tags that were named, with their VRs, and `unsupported` says that one of them is not known here.
    """

    level: Level
    keys: Mapping[str, Values]
    returned: Mapping[BaseTag, str]
    unsupported: bool

    @property
    def constrains(self) -> bool:
        """Whether any supported key asks for anything."""
        return bool(self.constraints)

    @property
    def constraints(self) -> Mapping[str, Values]:
        """The keys that are not empty."""
        return {
            keyword: values for keyword, values in self.keys.items() if any(v.strip("* ") for v in values)
        }


def read_query(identifier: BytesIO | None, transfer_syntax_uid: str, *, study_root: bool) -> Query:
    """Read an Identifier as it came.

    Args:
        identifier: the encoded data set.
        transfer_syntax_uid: how it is encoded.
        study_root: whether the information model is Study Root, which has no level PATIENT.

    Raises:
        BadIdentifier: it cannot be read, is larger than honest ones are, or has no level of the model.
    """
    dataset = _decoded(identifier, UID(transfer_syntax_uid))
    level = str(dataset.get("QueryRetrieveLevel", "")).strip().upper()
    levels = LEVELS[1:] if study_root else LEVELS
    if level not in levels:
        raise BadIdentifier(f"QueryRetrieveLevel must be one of {', '.join(levels)}.")
    supported = {k for one in LEVELS for k in OF_LEVEL[one]}
    keys: dict[str, Values] = {}
    returned: dict[BaseTag, str] = {}
    unsupported = False
    for element in dataset:
        keyword = keyword_for_tag(element.tag)
        if keyword in _NOT_KEYS:
            continue
        returned[element.tag] = str(element.VR)
        if keyword in supported:
            keys[keyword] = _texts(element)
        else:
            unsupported = unsupported or keyword not in _NEVER_UNSUPPORTED
    return Query(level, keys, returned, unsupported)


def unique_keys(query: Query) -> Mapping[str, Values]:
    """The unique keys of a retrieval, which names what it wants at its level by them (PS3.4 C.4.2.2.1).

    Raises:
        BadIdentifier: that of its level is missing.
    """
    own = UNIQUE[query.level]
    given = {k: query.constraints[k] for k in UNIQUE.values() if k in query.constraints}
    if own not in given:
        raise BadIdentifier(f"A retrieval at level {query.level} must name {own}.")
    return given


def answer_to(query: Query, row: Row, *, ae_title: str) -> Dataset:
    """One line as a response Identifier: what was asked for, and what names it.

    An Identifier that asked for no attribute gets all that its level has.
    """
    upper = LEVELS[: LEVELS.index(query.level) + 1]
    tags = dict(query.returned) or {_tag(k): dictionary_VR(k) for level in upper for k in OF_LEVEL[level]}
    response = Dataset()
    response.SpecificCharacterSet = "ISO_IR 192"
    response.QueryRetrieveLevel = query.level
    response.RetrieveAETitle = ae_title
    response.InstanceAvailability = "ONLINE"
    for level in upper:
        if UNIQUE[level] in row.values:
            tags.setdefault(_tag(UNIQUE[level]), dictionary_VR(UNIQUE[level]))
    for tag, vr in tags.items():
        keyword = keyword_for_tag(tag)
        if keyword not in response:
            _set(response, tag, vr, row.values.get(keyword, ()))
    return response


def _set(response: Dataset, tag: BaseTag, vr: str, values: Values) -> None:
    kept: Any = [] if vr == "SQ" else "" if not values else values[0] if len(values) == 1 else list(values)
    try:
        response.add(DataElement(tag, vr, kept, validation_mode=config.IGNORE))
    except (ValueError, TypeError, OverflowError):  # the archive has a text where a number should be
        response.add(DataElement(tag, vr, ""))


def _decoded(identifier: BytesIO | None, syntax: UID) -> Dataset:
    if identifier is None or identifier.getbuffer().nbytes > MAX_BYTES:
        raise BadIdentifier(f"An Identifier of at most {MAX_BYTES} bytes is wanted.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = decode(identifier, syntax.is_implicit_VR, syntax.is_little_endian, syntax.is_deflated)
            dataset.decode()
            for element in dataset:
                str(element.value)
    except Exception as error:
        raise BadIdentifier("The Identifier cannot be read.") from error
    return dataset


def _texts(element: DataElement) -> Values:
    value = element.value
    if value is None or element.VR == "SQ":
        return ()
    several = [value] if isinstance(value, str) or not hasattr(value, "__iter__") else list(value)
    return tuple(str(one) for one in several)


def _tag(keyword: str) -> BaseTag:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword  # noqa: S101 - the keywords stand in `rows`
    return Tag(tag)
