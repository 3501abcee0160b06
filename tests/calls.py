# SPDX-License-Identifier: EUPL-1.2
"""Calls for tests, filled in by the names of what their parts hold."""

from typing import Any, Final

from msgspec.structs import replace

from vault.framework.call import Call
from vault.framework.request.record import CallRecord

_PARTS: Final = ("head", "options", "proofs", "destination")
"""The parts that one stage fills in and no later one changes."""


def fill_call(call: Call, **given: Any) -> Call:
    """Fill in a call and return it; what belongs to a part goes there."""
    for name in _PARTS:
        part = getattr(call, name)
        of_part = {field: given.pop(field) for field in part.__struct_fields__ if field in given}
        if of_part:
            setattr(call, name, replace(part, **of_part))
    for name, value in given.items():
        setattr(call.record if name in CallRecord.__slots__ else call, name, value)
    return call
