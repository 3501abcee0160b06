# SPDX-License-Identifier: EUPL-1.2
"""The keyed hash that replaces every value and name from outside in audit records (SL-50).

Names and numbers that the API defines stay readable: names of parameters, names of fields of answers, and numbers in
such fields. Everything else comes from a client: strings, numbers and names of members are hashed; booleans and null
stay. The hash of a number is that of its JSON text, so an operator who knows it finds it with `sys/audit-hash`.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping
from functools import partial
from typing import Final

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from vault.framework import schema
from vault.framework.clock import LONGEST_TIME, is_rfc3339
from vault.framework.fields import Json
from vault.framework.route import Parameter

_MARK: Final = "hmac-sha256:"
_TIMES: Final = 1024
_LONGEST_NAME: Final = 64
_PIECE: Final = 1 << 20
"""Characters hashed in one go: a thread that hashes lets the event loop run between two pieces."""
_NUMBERS: Final = frozenset({int, float})
_NUMBER_KINDS: Final = frozenset({"int", "duration", "span", "float"})
_PLAIN: Final = frozenset({int, float, bool, type(None)})
"""Types of fields of an answer whose values stay readable."""
_SEQUENCES: Final = frozenset({list, tuple})
_NAMES: Final = frozenset({"display_name", "path", "policies", "type"})
"""Fields of answers that hold names which come again and again, and nothing secret."""
_MOST: Final = 10_000
"""Values of one record that are hashed one by one; more get one hash together, because each costs time (SL-55)."""


class TooManyValues(Exception):
    """A record holds more values than are hashed one by one."""


class Hasher:
    """The keyed hash of one device. `raw` keeps values readable, where the operator configured `log_raw`."""

    def __init__(
        self,
        key: bytes,
        *,
        raw: bool,
        hash_accessor: bool,
        strings_only: bool = False,
        most: int = _MOST,
        most_times: int = _TIMES,
    ) -> None:
        """With `strings_only` numbers and the names of members stay readable, as in OpenBao's records.

        `most` values of a record are hashed one by one, and `most_times` hashes of times, and of names, are cached.
        """
        self.twin: Final = partial(
            Hasher,
            key,
            raw=raw,
            hash_accessor=hash_accessor,
            strings_only=strings_only,
            most=most,
            most_times=most_times,
        )
        """Makes another hasher with the same key and a cache of its own, for a thread."""
        self._most, self._most_times = most, most_times
        self._keyed = HMAC(key, SHA256())
        self._raw = raw
        self._strings_only = strings_only or raw
        self._left = self._most
        self._hash_accessor = hash_accessor
        self._times: dict[str, str] = {}
        """Cached hashes of frequent values that are no secrets: the empty string, and times."""
        self._names: dict[str, str] = {}
        if not raw:
            self._times[""] = _MARK + hmac.digest(key, b"", "sha256").hex()

    def text(self, value: str) -> str:
        """Return the hash of a string."""
        if self._raw:
            return value
        short = len(value) <= LONGEST_TIME
        if short:  # it may be empty or a time, whose hashes are cached
            known = self._times.get(value)
            if known is not None:
                return known
        elif len(value) > _PIECE:
            return self._in_pieces(value)
        keyed = self._keyed.copy()
        keyed.update(value.encode("utf-8", "surrogatepass"))
        hashed = _MARK + keyed.finalize().hex()
        if short and value[-1] == "Z" and is_rfc3339(value):
            if len(self._times) >= self._most_times:
                self._times = {"": self._times[""]}
            self._times[value] = hashed
        return hashed

    def _in_pieces(self, value: str) -> str:
        keyed = self._keyed.copy()
        for start in range(0, len(value), _PIECE):
            keyed.update(value[start : start + _PIECE].encode("utf-8", "surrogatepass"))
        return _MARK + keyed.finalize().hex()

    def raw(self, body: bytes) -> str:
        """Return the hash of bytes, each taken as one character."""
        if self._raw or len(body) <= _PIECE:
            return self.text(body.decode("latin-1"))
        keyed = self._keyed.copy()
        for start in range(0, len(body), _PIECE):
            keyed.update(body[start : start + _PIECE].decode("latin-1").encode())
        return _MARK + keyed.finalize().hex()

    def name(self, value: str) -> str:
        """Return the hash of a member's name, cached until the seal."""
        known = self._names.get(value)
        if known is None:
            known = self.text(value)
            if len(value) <= _LONGEST_NAME:
                if len(self._names) >= self._most_times:
                    self._names.clear()
                self._names[value] = known
        return known

    def accessor(self, value: str) -> str:
        """Return the hash of an accessor, unless it is empty or the device keeps accessors readable."""
        return self.text(value) if self._hash_accessor and value else value

    def tree(self, value: Json) -> Json:
        """Return a copy with every string value hashed; keys, numbers and booleans stay."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict:
            text, tree = self.text, self.tree
            return {key: text(item) if type(item) is str else tree(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            return [self.tree(item) for item in value]
        return value

    def hidden(self, value: Json) -> Json:
        """Return a copy of client data: all names and values are hashed but booleans and null."""
        kind = type(value)
        if kind is dict:
            self._spend(len(value))
            names, hashed = self._names, {}
            for (
                key,
                item,
            ) in (
                value.items()
            ):  # a third faster than a comprehension, which is a call for each member of a list
                known = names.get(key) or self.name(key)
                hashed[known] = self.text(item) if type(item) is str else self.hidden(item)
            return hashed
        if kind is str:
            return self.text(value)
        if value is None or kind is bool:
            return value
        if kind is list or kind is tuple:
            self._spend(len(value))
            return [self.hidden(item) for item in value]
        return self.text(schema.encode(value).decode())

    def _begin(self, count: int) -> None:
        """Begin a record with so many values."""
        self._left = self._most - count
        if self._left < 0:
            raise TooManyValues

    def _spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooManyValues

    def request(
        self, data: Mapping[str, Json], clear: frozenset[str], known: Mapping[str, Parameter]
    ) -> Mapping[str, Json]:
        """Hash the data of a request, except top-level keys that the mount declares clear.

        `known` are the parameters of the route by name; numbers among them stay. Raises `TooManyValues`.
        """
        if self._strings_only:
            return self._strings(data, clear)
        self._begin(len(data))
        names, name, hidden = self._names, self.name, self.hidden
        return {
            key if key in known or key in clear else names.get(key) or name(key): item
            if key in clear or (type(item) in _NUMBERS and _is_number(known.get(key)))
            else hidden(item)
            for key, item in data.items()
        }

    def answer(self, data: object, plain: Json, clear: frozenset[str], *, own: bool) -> Json:
        """Hash the data of an answer, and `plain`, its form on the wire, except keys that the mount declares clear.

        `own` says that a client chose the names of its members. Raises `TooManyValues`.
        """
        if not isinstance(plain, dict):
            self._begin(0)
            return self.tree(plain) if self._strings_only else self.hidden(plain)
        if self._strings_only:
            return self._strings(plain, clear)
        self._begin(len(plain))
        if own:
            return {
                key if key in clear else self.name(key): item if key in clear else self.hidden(item)
                for key, item in plain.items()
            }
        text, named, field = self.text, self._named, self._field
        if not clear.isdisjoint(plain):
            return {
                key: item if key in clear else field(_value(data, key), item) for key, item in plain.items()
            }
        return {
            key: named(data, key, item)
            if key in _NAMES
            else text(item)
            if type(item) is str
            else item
            if type(item) in _PLAIN
            else field(_value(data, key), item)
            for key, item in plain.items()
        }

    def _named(self, data: object, key: str, plain: Json) -> Json:
        """Hash a field that holds one name, or several, whose hashes are cached until the seal."""
        kind = type(plain)
        if kind is str:
            return self._names.get(plain) or self.name(plain)
        if kind in _SEQUENCES and all(type(item) is str for item in plain):
            self._spend(len(plain))
            return [self.name(item) for item in plain]
        return self._field(_value(data, key), plain)

    def _field(self, value: object, plain: Json) -> Json:
        """Hash the value of an answer's field. Names that its type defines stay, and so does a number in it."""
        kind = type(plain)
        if kind is str:
            return self.text(plain)
        if kind in _PLAIN:
            return plain
        if kind is dict and isinstance(value, msgspec.Struct):
            return self._struct(value, plain)
        if kind is dict and isinstance(value, Mapping):
            self._spend(len(plain))
            return {self.name(key): self._member(value.get(key), item) for key, item in plain.items()}
        if kind is list and isinstance(value, list | tuple) and len(value) == len(plain):
            self._spend(len(plain))
            return [self._member(one, item) for one, item in zip(value, plain, strict=True)]
        return self.hidden(plain)

    def _struct(self, value: msgspec.Struct, plain: Mapping[str, Json]) -> Json:
        """Hash the texts in a type of ours, whose names and numbers stay."""
        hashed = {}
        for key, item in plain.items():
            kind = type(item)
            if kind is str:
                hashed[key] = self.text(item)
            else:
                hashed[key] = item if kind in _PLAIN else self._field(_value(value, key), item)
        return hashed

    def _member(self, value: object, plain: Json) -> Json:
        """Hash one element of a list or mapping; its own type says which names stay."""
        if not isinstance(value, msgspec.Struct):
            return self.hidden(plain)
        return self._struct(value, plain) if type(plain) is dict else self._field(value, plain)

    def _strings(self, data: Mapping[str, Json], clear: Collection[str]) -> Mapping[str, Json]:
        if not clear:
            hashed: Mapping[str, Json] = self.tree(data)
            return hashed
        return {key: item if key in clear else self.tree(item) for key, item in data.items()}


def _is_number(parameter: Parameter | None) -> bool:
    """Whether the body has a parameter that is a number."""
    return parameter is not None and not parameter.in_path and parameter.kind.name in _NUMBER_KINDS


def _value(data: object, name: str) -> object:
    """Return the value behind a name on the wire."""
    if isinstance(data, msgspec.Struct):
        return getattr(data, schema.wire_fields(type(data))[name])
    return data.get(name) if isinstance(data, Mapping) else None
