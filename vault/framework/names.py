# SPDX-License-Identifier: EUPL-1.2
"""How long names are, and names without case."""

from vault.framework.errors import Malformed
from vault.framework.limits import NAME


def check_length(**names: str | None) -> None:
    """Make sure that names, by their fields, are no longer than `NAME`. Raises `Malformed`."""
    for field, name in names.items():
        if name is not None and len(name) > NAME:
            raise Malformed(f"field '{field}' may have at most {NAME} characters")


def folded(name: str) -> str:
    """Return a name without case: each letter as the small one of its own pair.

    A letter that only looks like the large one of a pair (the Kelvin sign, the ohm sign) stays what it is: it makes
    another name (SL-21).
    """
    if name.isascii():
        return name.lower()
    forms = {char: small if (small := char.lower()).upper() == char else char for char in set(name)}
    return "".join(map(forms.__getitem__, name))
