# SPDX-License-Identifier: EUPL-1.2
"""In which form bytes are answered, and what only the path may say of it."""

from __future__ import annotations

import base64
from typing import Final

from vault.framework.call import Call
from vault.framework.errors import Malformed

_REPLACED: Final = (
    "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]"
)
_FORMS: Final = frozenset({"hex", "base64"})


def known_form(form: str) -> str:
    """Return the form. Raises `Malformed` for another one."""
    if form not in _FORMS:
        raise Malformed('unsupported encoding format; must be "hex" or "base64"')
    return form


def encoded(data: bytes, form: str) -> str:
    """Return bytes as text."""
    return data.hex() if form == "hex" else base64.b64encode(data).decode()


def warn_of_replaced(call: Call, **given: str | None) -> None:
    """Warn of fields that are ignored, since only the path can set them."""
    names = sorted(name for name, value in given.items() if value is not None)
    if names:
        call.warnings.append(_REPLACED.format(" ".join(names)))
