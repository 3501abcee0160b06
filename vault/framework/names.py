# SPDX-License-Identifier: EUPL-1.2
"""The length of names, and case folding."""

from __future__ import annotations

from vault.framework.errors import Malformed
from vault.framework.limits import NAME


def check_length(**names: str | None) -> None:
    """Raise `Malformed` for a name, given by its field, that is longer than `NAME`."""
    for field, name in names.items():
        if name is not None and len(name) > NAME:
            raise Malformed(f"field '{field}' may have at most {NAME} characters")


def folded(name: str) -> str:
    """Return a name in lower case: each letter as the lower case letter of its own pair.

    A letter that only looks like an upper case letter (the Kelvin sign, the ohm sign) stays as it is: it makes
    another name (SL-21).
    """
    if name.isascii():
        return name.lower()
    forms = {char: small if (small := char.lower()).upper() == char else char for char in set(name)}
    return "".join(map(forms.__getitem__, name))
