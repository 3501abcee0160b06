# SPDX-License-Identifier: EUPL-1.2
"""The keyed hash that stands in audit records for every string that came from outside (SL-50)."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from vault.framework.fields import Json

_MARK: Final = "hmac-sha256:"
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(?:\.[0-9]{1,9})?Z")
_TIMES: Final = 1024


class Hasher:
    """The keyed hash of one device. `raw` keeps values as they are, for the operator who asked for it."""

    def __init__(self, key: bytes, *, raw: bool, hash_accessor: bool) -> None:
        self._keyed = HMAC(key, SHA256())
        self._raw = raw
        self._hash_accessor = hash_accessor
        self._times: dict[str, str] = {}
        """Hashes of what is no secret and comes again and again: the empty string, and times."""
        if not raw:
            self._times[""] = _MARK + hmac.digest(key, b"", "sha256").hex()

    def text(self, value: str) -> str:
        """Return the hash of a string."""
        if self._raw:
            return value
        known = self._times.get(value)
        if known is not None:
            return known
        keyed = self._keyed.copy()
        keyed.update(value.encode("utf-8", "surrogatepass"))
        hashed = _MARK + keyed.finalize().hex()
        if value[-1:] == "Z" and _TIME.fullmatch(value):
            if len(self._times) >= _TIMES:
                self._times = {"": self._times[""]}
            self._times[value] = hashed
        return hashed

    def accessor(self, value: str) -> str:
        """Return the hash of an accessor, unless there is none or the device keeps accessors readable."""
        return self.text(value) if self._hash_accessor and value else value

    def tree(self, value: Json) -> Json:
        """Return a copy in which every string leaf is hashed; keys, numbers and booleans stay."""
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is dict:
            text, tree = self.text, self.tree
            return {key: text(item) if type(item) is str else tree(item) for key, item in value.items()}
        if kind is list or kind is tuple:
            return [self.tree(item) for item in value]
        return value

    def members(self, data: Mapping[str, Json], clear: frozenset[str]) -> Mapping[str, Json]:
        """Hash an object's values, but for the top-level keys that the mount declared clear."""
        if not clear:
            hashed: Mapping[str, Json] = self.tree(data)
            return hashed
        return {key: item if key in clear else self.tree(item) for key, item in data.items()}
