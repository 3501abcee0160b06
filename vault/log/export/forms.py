# SPDX-License-Identifier: EUPL-1.2
"""Lines of the log in the form that somebody asks for: as they are, or as OTLP, OCSF or ECS. Without a server.

Nothing is dropped: an event or a member that is not known here is delivered as the record has it, and so is a line that
is no record, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from vault.log.export import ecs, ocsf, otlp
from vault.log.export.table import Json
from vault.log.format.canonical import NotCanonical, decode_record, encode_record
from vault.log.format.tree import encode_hash, leaf_hash

NATIVE: Final = "native"
OTLP: Final = "otlp"
_MAPS: Final[Mapping[str, tuple[Callable[[Json, str], Json], Callable[[bytes, str], Json]]]] = {
    "ecs": (ecs.document, ecs.unreadable),
    "ocsf": (ocsf.event, ocsf.unreadable),
}
"""What makes a document of a record, and of a line that is none."""
_BACK: Final[Mapping[str, Callable[[Json], Json]]] = {"ecs": ecs.record_of, "ocsf": ocsf.record_of}
FORMS: Final = (NATIVE, OTLP, *sorted(_MAPS))
"""The forms that there are."""
_encode: Final = msgspec.json.Encoder().encode


def exported(line: bytes, form: str) -> bytes:
    """Return a line of the log in a form: one JSON document in one line. Neither has a newline.

    Of OTLP it is a whole request with one record. Raises `ValueError` for a form that there is none of.
    """
    if form == NATIVE:
        return line
    if form == OTLP:
        return otlp.export_request((line,))
    if form not in _MAPS:
        raise ValueError(f"there is no form {form!r}: it is one of {', '.join(FORMS)}")
    make, make_unreadable = _MAPS[form]
    try:
        record = decode_record(line)
    except NotCanonical as problem:
        return _encode(make_unreadable(line, str(problem)))
    return _encode(make(record, encode_hash(leaf_hash(line))))


def batch(lines: Iterable[bytes], form: str) -> bytes:
    """Return several lines in a form: of OTLP one request with all of them, else one document a line, with newlines."""
    if form == OTLP:
        return otlp.export_request(lines)
    return b"".join(exported(line, form) + b"\n" for line in lines)


def native(document: bytes, form: str) -> list[bytes]:
    """Return the lines of the log of which this is the document, so that their hashes can be compared with the log's.

    Of OTLP there may be several. Raises `ValueError` for what no record was exported to.
    """
    if form == NATIVE:
        return [document]
    made = msgspec.json.decode(document)
    return [
        encode_record(record) for record in (otlp.records_of(made) if form == OTLP else [_BACK[form](made)])
    ]
