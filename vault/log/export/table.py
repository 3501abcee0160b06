# SPDX-License-Identifier: EUPL-1.2
"""The table of a form: which member of a record stands where in it. It leads there and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from vault.log.export.kinds import Kind

Json = dict[str, Any]
"""A JSON object."""
Path = tuple[str, ...]
"""Names of members, each within the one before."""
_ABSENT: Final = object()


class Row(NamedTuple):
    """One member of a record, and its place in another form."""

    member: Path
    """One name, or two: of an object, and of its member."""
    target: Path
    kind: Kind


class Table:
    """The rows of one form. What has no row, or is not of its row's kind, is the rest."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self.rows: Final = tuple(rows)
        self._flat = {row.member[0]: row for row in self.rows if len(row.member) == 1}
        self._nested: dict[str, dict[str, Row]] = {}
        for row in self.rows:
            if len(row.member) > 1:
                self._nested.setdefault(row.member[0], {})[row.member[1]] = row

    def move(self, record: Mapping[str, Any], document: Json) -> Json:
        """Write the members of a record to their places in a document, and return the rest as members of a record."""
        rest: Json = {}
        for name, value in record.items():
            inner = self._nested.get(name)
            if inner is not None and isinstance(value, dict) and value:
                left = {
                    each: item for each, item in value.items() if not _placed(inner.get(each), item, document)
                }
                if left:
                    rest[name] = left
            elif not _placed(self._flat.get(name), value, document):
                rest[name] = value
        return rest

    def take_back(self, document: Json, rest: Mapping[str, Any]) -> Json:
        """Return the record of which this is the document and the rest."""
        record = dict(rest)
        for row in self.rows:
            found = _found(document, row.target)
            value = None if found is _ABSENT else row.kind.back(found)
            if value is None:
                continue
            name, *inner = row.member
            if inner:
                record[name] = {**record.get(name, {}), inner[0]: value}
            else:
                record[name] = value
        return record


def _placed(row: Row | None, value: object, document: Json) -> bool:
    """Write a value to its place, if it has one that is free."""
    written = None if row is None else row.kind.there(value)
    if row is None or written is None:
        return False
    *parents, name = row.target
    for each in parents:
        document = document.setdefault(each, {})
    if name in document:
        return False
    document[name] = written
    return True


def _found(document: object, target: Path) -> object:
    for name in target:
        if not isinstance(document, dict) or name not in document:
            return _ABSENT
        document = document[name]
    return document
