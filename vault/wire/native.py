# SPDX-License-Identifier: EUPL-1.2
"""The native wire: refusals as problem details (RFC 9457), which tell an authenticated caller what was missing."""

from __future__ import annotations

from typing import Final

from vault.framework import schema
from vault.framework.call import Call
from vault.framework.errors import Busy, Forbidden, Limited, VaultError, problem_type

PROBLEM: Final = "application/problem+json"


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
