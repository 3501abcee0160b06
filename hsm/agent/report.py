# SPDX-License-Identifier: EUPL-1.2
"""`python -m hsm.agent.report`: the process that tries what a token can do. `hsm.client.report` reads its lines."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Literal

import msgspec
import pkcs11

from hsm.agent.hardening import fall_silent, harden, limit_memory
from hsm.agent.keys.mechanisms import Entropy
from hsm.agent.oneshot import log_in
from hsm.agent.selftest import CHECKS, FAILURES, Bench, describe_failure
from hsm.agent.session.exceptions import classify
from hsm.agent.session.token import info_of
from hsm.errors import HsmError
from hsm.orders import CheckInfo, CheckResult, ReportLine, ReportOrder
from hsm.protocol import AgentFailure


def main(*, entropy: Entropy) -> int:
    """Take an order, try, tell. What the module prints goes nowhere."""
    harden()
    limit_memory(1)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=ReportOrder)
    with os.fdopen(os.dup(1), "wb", buffering=0) as output:
        fall_silent()
        return _try(order, entropy, lambda line: output.write(msgspec.json.encode(line) + b"\n"))


def _try(order: ReportOrder, entropy: Entropy, tell: Callable[[ReportLine], object]) -> int:
    trials = tuple(CheckInfo(check.name, check.purpose) for check in CHECKS)
    try:
        sessions = log_in(order.access)
        try:
            tell(ReportLine(token=info_of(sessions.token), trials=trials))
            bench = Bench(sessions.token.open(), entropy)
        except pkcs11.PKCS11Error as error:
            raise classify(error, f"{order.access.wanted}: opening a session") from error
    except HsmError as error:
        tell(ReportLine(failure=AgentFailure(type(error).__name__, str(error))))
        return 1
    if order.dry_run:
        return 0
    names = [check.name for check in CHECKS]
    first = names.index(order.after) + 1 if order.after else 0
    for trial, check in zip(trials[first:], CHECKS[first:], strict=True):
        tell(ReportLine(begins=trial))
        began = time.perf_counter()
        outcome: Literal["yes", "no"] = "yes"
        try:
            detail = check.run(bench)
        except FAILURES as error:
            outcome, detail = "no", describe_failure(error)
        taken = int((time.perf_counter() - began) * 1e6)
        result = CheckResult(
            name=check.name, purpose=check.purpose, outcome=outcome, detail=detail, microseconds=taken
        )
        tell(ReportLine(result=result))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(entropy=os.urandom))
