# SPDX-License-Identifier: EUPL-1.2
"""What the log says of values: a keyed hash of each, never the value, but for what a route declares clear.

A hash is `{"$h": "<key id>:<base64 of HMAC-SHA-256>"}`, and `$h:<key id>:<base64>` for the name of a member that a
client chose. The hash of a number is that of its JSON text. Booleans and null become their type; of more than a hundred
values only the number is told, and a long one is hashed with its size beside it. Who knows a value finds its records with
`sys/log/hash`; where that is too much, as with short PINs, a mount leaves values out (`log_values`). What is sent where nobody is
known yet (passwords, shares of keys) is never hashed: equal passwords of two people would be seen to be equal.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from typing import Final, Protocol

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from vault.framework import schema
from vault.framework.clock import is_rfc3339
from vault.framework.fields import Json, has_its_form
from vault.framework.route import Parameter

MOST: Final = 100
"""Values of one record that are hashed one by one."""
_LONGEST_NAME: Final = 64
_NAMES: Final = 1024
_LONGEST_CLEAR: Final = 512
"""Characters of the longest value in clear."""
_LONG: Final = 4096
"""Characters from which on the size of a value stands beside its hash."""
_PIECE: Final = 1 << 20
"""Characters hashed in one go: a thread that hashes lets the event loop run between two pieces."""
_LARGEST_INTEGER: Final = (1 << 53) - 1
"""Integers beyond it are not the same in every reader of JSON (RFC 8785, section 3.2.2.3), and become strings."""
_TRUE: Final = {"$t": "boolean"}
_NULL: Final = {"$t": "null"}


LOG_VALUES: Final = "log_values"
"""The option of a mount that says what the log has of its values: `hash`, or `omit` for nothing."""


class Values(Protocol):
    """What the log says of data."""

    def twin(self) -> Values:
        """Return what says the same, for a thread."""
        ...

    def request(self, data: Mapping[str, Json], known: Mapping[str, Parameter]) -> Json:
        """Return what the log says of a request's data; `known` are the parameters of its route."""
        ...

    def answer(self, data: object, plain: Json, *, own: bool) -> Json:
        """Return what the log says of an answer's data, of which `plain` is the form on the wire."""
        ...

    def shows(self, data: object) -> bool:
        """Whether the log says of an answer's data what it is, as it is: then `answer` says the same, and takes longer."""
        ...

    def raw(self, body: bytes) -> Json:
        """Return what the log says of bytes."""
        ...


class OmittedValues:
    """Says how many values there are, and nothing of what they are but for those that a route declares clear."""

    def twin(self) -> Values:
        """See `Values`."""
        return self

    def request(self, data: Mapping[str, Json], known: Mapping[str, Parameter]) -> Json:
        """See `Values`."""
        shown = {
            key: item
            for key, item in data.items()
            if key in known and known[key].clear and has_its_form(known[key].kind, item) and _is_short(item)
        }
        left = sum(count(item) for key, item in data.items() if key not in shown)
        return {**shown, "$omitted": left} if left else shown

    def answer(self, data: object, plain: Json, *, own: bool) -> Json:
        """See `Values`."""
        del data, own
        return {"$omitted": count(plain)}

    def shows(self, data: object) -> bool:
        """See `Values`."""
        del data
        return False

    def raw(self, body: bytes) -> Json:
        """See `Values`."""
        del body
        return {"$omitted": 1}


class TooManyValues(Exception):
    """There are more values than are hashed one by one."""


class ValueHasher:
    """Hashes under one key of the log. It counts: one record at a time, in one thread."""

    def __init__(self, key_id: str, key: bytes) -> None:
        """`key_id` names the key in each hash."""
        self.key_id: Final = key_id
        self._key = key
        self._prefix = f"{key_id}:"
        self._keyed = HMAC(key, SHA256())
        self._names: dict[str, str] = {}
        self._left = 0

    def twin(self) -> ValueHasher:
        """Return another hasher with the same key, for a thread."""
        return ValueHasher(self.key_id, self._key)

    def hash(self, value: str) -> str:
        """Return the key's id and the hash of a string."""
        keyed = self._keyed.copy()
        if len(value) <= _PIECE:
            keyed.update(value.encode("utf-8", "surrogatepass"))
        else:
            for start in range(0, len(value), _PIECE):
                keyed.update(value[start : start + _PIECE].encode("utf-8", "surrogatepass"))
        return self._prefix + b2a_base64(keyed.finalize(), newline=False).decode()

    def raw(self, body: bytes) -> Json:
        """Return what stands for bytes."""
        return {"$h": self.hash(body.decode("latin-1")), "$size": len(body)}

    def name(self, value: str) -> str:
        """Return what stands for the name of a member; frequent ones are cached."""
        known = self._names.get(value)
        if known is None:
            known = "$h:" + self.hash(value)
            if len(value) <= _LONGEST_NAME:
                if len(self._names) >= _NAMES:
                    self._names.clear()
                self._names[value] = known
        return known

    def request(self, data: Mapping[str, Json], known: Mapping[str, Parameter]) -> Json:
        """Return what the log says of a request's data; `known` are the parameters of its route."""
        self._left = MOST
        try:
            return {
                key if key in known else self.name(key): self._clear(item)
                if key in known and known[key].clear and has_its_form(known[key].kind, item)
                else self._hidden(item)
                for key, item in data.items()
            }
        except TooManyValues:
            return {"$omitted": count(data)}

    def answer(self, data: object, plain: Json, *, own: bool) -> Json:
        """Return what the log says of an answer's data, of which `plain` is the form on the wire.

        The names of members that a type of ours defines stay. `own` says that a client chose them.
        """
        self._left = MOST
        try:
            if own or not isinstance(plain, dict):
                return self._hidden(plain)
            return self._field(data, plain)
        except TooManyValues:
            return {"$omitted": count(plain)}

    def shows(self, data: object) -> bool:
        """Whether it is a type of ours that holds counts, flags and times alone: no text that would be hashed."""
        if not isinstance(data, msgspec.Struct):
            return False
        for name in data.__struct_fields__:
            value = getattr(data, name)
            kind = type(value)
            if kind is str:
                if value and not is_rfc3339(value):
                    return False
            elif kind is int:
                if not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
                    return False
            elif kind is not bool and value is not None:
                return False
        return True

    def _field(self, value: object, plain: Json) -> Json:
        """Hash the texts in a type of ours; its numbers, which are counts and versions, and its times stay."""
        kind = type(plain)
        if kind is str:
            if not plain or is_rfc3339(plain):
                return plain
            return self._hidden(plain)
        if kind is bool or plain is None:
            return plain
        if kind is int and -_LARGEST_INTEGER <= plain <= _LARGEST_INTEGER:
            return plain
        if kind is dict and isinstance(value, msgspec.Struct):
            names = schema.wire_fields(type(value))
            return {key: self._field(getattr(value, names[key], None), item) for key, item in plain.items()}
        return self._hidden(plain)

    def _hidden(self, value: Json) -> Json:
        """Hash names and values."""
        kind = type(value)
        if kind is dict:
            return {self.name(key): self._hidden(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            return [self._hidden(item) for item in value]
        self._left -= 1
        if self._left < 0:
            raise TooManyValues
        if kind is str:
            if len(value) > _LONG:
                return {"$h": self.hash(value), "$size": len(value)}
            return {"$h": self.hash(value)}
        if value is None:
            return _NULL
        if kind is bool:
            return _TRUE
        return {"$h": self.hash(schema.encode(value).decode())}

    def _clear(self, value: Json) -> Json:
        """Return a value that its route declares clear; what is longer than such values are is hashed."""
        kind = type(value)
        if kind is str:
            if len(value) > _LONGEST_CLEAR or not _is_text(value):
                return self._hidden(value)
            self._left -= 1
            return value
        if kind is bool or value is None:
            return value
        if kind is int:
            return value if -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER else str(value)
        if kind is float:
            return schema.encode(value).decode()
        if kind is list or kind is tuple:
            if len(value) > self._left:
                raise TooManyValues
            return [self._clear(item) for item in value]
        return self._hidden(value)


def _is_short(value: Json) -> bool:
    """Whether a value is one that stands in a record as it is."""
    kind = type(value)
    if kind is str:
        return len(value) <= _LONGEST_CLEAR and _is_text(value)
    return kind is bool or (kind is int and -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER)


def _is_text(value: str) -> bool:
    """Whether a string can be written as UTF-8."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def count(value: Json) -> int:
    """Return how many values there are in a tree, names not counted."""
    waiting, found = [value], 0
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting.extend(one.values())
        elif isinstance(one, list | tuple):
            waiting.extend(one)
        else:
            found += 1
    return found
