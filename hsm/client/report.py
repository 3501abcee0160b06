# SPDX-License-Identifier: EUPL-1.2
"""What a token can and cannot do, found out by trying, in a process that may crash or hang without harm.

The process (`hsm.agent.report`) writes a line before and after each trial. When it dies, or is silent for too long, the
trial that was running gets the blame, and another process goes on with the next.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from hsm.client.launch import without_secrets
from hsm.errors import SlotUnavailable
from hsm.orders import CheckInfo, CheckResult, ReportLine, ReportOrder, TokenAccess
from hsm.token_info import TokenInfo

SOFTWARE_WARNING: Final = "software token: no hardware protection"
"""How reports, lists and ceremonies say that a token is a program."""

TRIAL_SECONDS: Final = 60.0
"""What each trial may take at least: small devices need that long for an RSA key."""

_PROGRAM: Final = (sys.executable, "-P", "-m", "hsm.agent.report")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one token."""

    token: TokenInfo
    trials: tuple[CheckInfo, ...]
    """All that there are, whether they were made or not."""
    results: list[CheckResult]

    @property
    def seals(self) -> list[str]:
        """Ways to wrap that a seal can use with this token, as the setting `mechanism` names them."""
        wanted: dict[str, list[bool]] = {}
        for result in self.results:
            if result.purpose.startswith("seal "):
                wanted.setdefault(result.purpose.removeprefix("seal "), []).append(result.outcome == "yes")
        return [name for name, fit in wanted.items() if all(fit)]

    @property
    def warnings(self) -> list[str]:
        """What speaks against trusting the token, worst first."""
        unsafe = [result for result in self.results if result.purpose == "safety" and result.outcome != "yes"]
        broken = [result for result in self.results if result.outcome in {"crashed", "hung"}]
        return [
            *([SOFTWARE_WARNING] if self.token.software else []),
            *(f"{result.name}: {result.detail or result.outcome}" for result in unsafe),
            *(f"the module {result.outcome} in: {result.name}" for result in broken if result not in unsafe),
        ]


def probe(
    access: TokenAccess, *, seconds: float, dry_run: bool = False, program: Sequence[str] = _PROGRAM
) -> Report:
    """Make every trial of `hsm.agent.selftest`; `seconds` is the deadline of each. Raises `HsmError`.

    A dry run logs in and opens a session, and tries nothing.
    """
    order = ReportOrder(access=access, dry_run=dry_run)
    token: TokenInfo | None = None
    trials: tuple[CheckInfo, ...] = ()
    results: dict[str, CheckResult] = {}
    while True:
        lines, ended = _run(order, seconds, program)
        for line in lines:
            if line.failure is not None:
                raise line.failure.error()
            token = line.token or token
            trials = line.trials or trials
            if line.result is not None:
                results[line.result.name] = line.result
        running = next((line.begins for line in reversed(lines) if line.begins), None)
        if token is None or (ended and running is None):
            raise SlotUnavailable(
                f"{access.wanted}: the module {ended or 'said nothing'} before the first trial"
            )
        if not ended or running is None or running.name in results:
            return Report(token=token, trials=trials, results=list(results.values()))
        results[running.name] = CheckResult(name=running.name, purpose=running.purpose, outcome=ended)
        order = msgspec.structs.replace(order, after=running.name)


def _run(
    order: ReportOrder, seconds: float, program: Sequence[str]
) -> tuple[list[ReportLine], Literal["", "crashed", "hung"]]:
    """One life of the process: its lines, and how it ended if not by itself."""
    with subprocess.Popen(
        list(program),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env=without_secrets(os.environ),
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(msgspec.json.encode(order))
            child.stdin.close()
        lines: list[ReportLine] = []
        while select.select([child.stdout], [], [], seconds)[0]:
            raw = child.stdout.readline()
            if not raw:
                failed = bool(lines) and lines[-1].failure is not None
                return lines, "" if child.wait() == 0 or failed else "crashed"
            lines.append(msgspec.json.decode(raw, type=ReportLine))
        child.kill()
        return lines, "hung"
