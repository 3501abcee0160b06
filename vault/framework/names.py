# SPDX-License-Identifier: EUPL-1.2
"""Names without case."""


def folded(name: str) -> str:
    """Return a name without case: each letter as the small one of its own pair.

    A letter that only looks like the large one of a pair (the Kelvin sign, the ohm sign) stays what it is: it makes
    another name (SL-21).
    """
    if name.isascii():
        return name.lower()
    forms = {char: small if (small := char.lower()).upper() == char else char for char in set(name)}
    return "".join(map(forms.__getitem__, name))
