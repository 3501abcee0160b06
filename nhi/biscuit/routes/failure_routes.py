# SPDX-License-Identifier: EUPL-1.2
"""`failures`: which logins of workloads failed, and why, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec

from nhi.biscuit.login.failures import SENTENCES, Failure, Failures
from vault.framework.call import Call
from vault.framework.clock import rfc3339
from vault.framework.engine import Engine
from vault.framework.fields import Doc
from vault.framework.route import Params, read
from vault.values.times import millis_to_nanos


class FailuresParams(Params, frozen=True):
    """Which failures."""

    registration: Annotated[str, Doc("Of this registration only.", clear=True)] = ""


class FailureInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Logins that failed alike: `time` is when the last one did. `registration` is empty for unknown names."""

    time: str
    first_time: str
    registration: str
    method: str
    reason: str
    message: str
    count: int
    source: str
    sources: Sequence[str]


class FailuresInfo(msgspec.Struct, frozen=True):
    """Failures, the latest first."""

    failures: Sequence[FailureInfo]


class FailureEngine(Engine):
    """The path of failed logins. They are in memory only, so each node shows its own."""

    def __init__(self, failures: Failures) -> None:
        self._failures = failures

    @read("failures", event="nhi.failure.list")
    async def list_failures(self, call: Call, params: FailuresParams) -> FailuresInfo:
        """Show which logins failed of late, and why, as far as this server remembers; the audit log has them all."""
        found = self._failures.of(call.mount.uuid)
        return FailuresInfo([_shown(one) for one in found if params.registration in {"", one.registration}])


def _shown(one: Failure) -> FailureInfo:
    return FailureInfo(
        time=rfc3339(millis_to_nanos(one.last)),
        first_time=rfc3339(millis_to_nanos(one.first)),
        registration=one.registration,
        method=one.method,
        reason=one.reason.value,
        message=f"{SENTENCES[one.reason]}{': ' if one.detail else ''}{one.detail}",
        count=one.count,
        source=one.addresses[-1],
        sources=one.addresses[::-1],
    )
