# SPDX-License-Identifier: EUPL-1.2
"""Secret values that do not print themselves (SL-50, SL-58)."""

from __future__ import annotations

import hmac
from typing import Final


class Secret:
    """A secret text. `reveal()` is the only way to see it, so that every use can be searched for."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: Final = value

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def matches(self, other: str) -> bool:
        """Compare in constant time (SL-23)."""
        return hmac.compare_digest(self._value.encode(), other.encode())

    def __repr__(self) -> str:
        """Return a fixed text, whatever the secret is."""
        return "Secret(…)"

    def __bool__(self) -> bool:
        """Return whether there is a value at all."""
        return bool(self._value)
