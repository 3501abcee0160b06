# SPDX-License-Identifier: EUPL-1.2
"""The native wire: refusals as problem details (RFC 9457), which tell an authenticated caller what was missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from vault.framework import schema
from vault.framework.call import Call
from vault.framework.errors import Busy, Forbidden, Limited, VaultError, problem_type

_PROBLEM: Final = "application/problem+json"
_PLAIN: Final = ("application/json", "application/*", "*/*")
"""What names plain JSON in an `Accept`, the most exact first."""


def is_preferred(accept: bytes) -> bool:
    """Whether an `Accept` names problems with a weight that is not 0, nor below the one of plain JSON.

    RFC 9110, sections 12.4.2 and 12.5.1; ESA-ERR-006. A weight that is none counts as 1.
    """
    if b"problem+json" not in accept.lower():
        return False
    weights = {}
    for one in accept.decode("latin-1").lower().split(","):
        kind, *parameters = [part.strip() for part in one.split(";")]
        weights[kind] = _weight(parameters)
    plain = next((weights[kind] for kind in _PLAIN if kind in weights), 0.0)
    return 0 < weights.get(_PROBLEM, 0.0) >= plain


def _weight(parameters: Sequence[str]) -> float:
    found = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    digits = found.replace(".", "", 1)
    return float(found) if digits.isascii() and digits.isdecimal() else 1.0


def problem(call: Call, error: VaultError, status: int) -> bytes:
    """Return the problem document of a refusal. Only authenticated callers see path and capability."""
    kind = problem_type(error)
    title = kind.rpartition(":")[2].replace("-", " ")
    document: dict[str, object] = {
        "type": kind,
        "title": title,
        "status": status,
        "detail": error.message or title,
        "instance": f"urn:uuid:{call.id}",
    }
    if isinstance(error, Forbidden) and call.identity is not None and error.path:
        document |= {"path": error.path, "capability": error.capability}
    if isinstance(error, Busy | Limited):
        document["retry_after"] = error.retry_after
    return schema.encode(document) + b"\n"
