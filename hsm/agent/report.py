# SPDX-License-Identifier: EUPL-1.2
"""What a token can and cannot do, found out by trying, in a process that may crash or hang without harm.

The process (`python -m hsm.agent.report`) gets its order on standard input, so that the PIN is on no command line, and
writes a line before and after each trial. When it dies, or is silent for too long, the trial that was running gets
the blame, and another process goes on with the next.
"""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

import msgspec
import pkcs11

from hsm.agent.hardening import fall_silent, harden, limit_memory
from hsm.agent.keys.mechanisms import Entropy
from hsm.agent.oneshot import Place, Told, opened
from hsm.agent.selftest import CHECKS, FAILURES, Bench, described
from hsm.agent.session.exceptions import classify
from hsm.agent.session.token import info_of
from hsm.client.launch import without_secrets
from hsm.errors import HsmError, SlotUnavailable
from hsm.token_info import TokenInfo

SOFTWARE_WARNING: Final = "software token: no hardware protection"
"""What everybody is told of a token that is a program, in these words."""

TRIAL_SECONDS: Final = 60.0
"""What each trial may take at least: small devices need that long for an RSA key."""

_PROGRAM: Final = (sys.executable, "-P", "-m", "hsm.agent.report")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What to try."""

    place: Place
    after: str = ""
    """The trial to go on after; empty to start with the first."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one trial."""

    name: str
    purpose: str
    outcome: Literal["yes", "no", "crashed", "hung"]
    detail: str = ""
    microseconds: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one token."""

    token: TokenInfo
    rows: list[Row]

    @property
    def seals(self) -> list[str]:
        """Ways to wrap that a seal can use with this token, as the setting `mechanism` names them."""
        wanted: dict[str, list[bool]] = {}
        for row in self.rows:
            if row.purpose.startswith("seal "):
                wanted.setdefault(row.purpose.removeprefix("seal "), []).append(row.outcome == "yes")
        return [name for name, fit in wanted.items() if all(fit)]

    @property
    def warnings(self) -> list[str]:
        """What speaks against trusting the token, worst first."""
        unsafe = [row for row in self.rows if row.purpose == "safety" and row.outcome != "yes"]
        broken = [row for row in self.rows if row.outcome in {"crashed", "hung"}]
        return [
            *([SOFTWARE_WARNING] if self.token.software else []),
            *(f"{row.name}: {row.detail or row.outcome}" for row in unsafe),
            *(f"the module {row.outcome} in: {row.name}" for row in broken if row not in unsafe),
        ]


class _Line(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of the child: exactly one field is set."""

    token: TokenInfo | None = None
    begins: str = ""
    row: Row | None = None
    error: Told | None = None


def probe(
    place: Place, *, seconds: float, rehearse: bool = False, program: Sequence[str] = _PROGRAM
) -> Report:
    """Try everything in `hsm.agent.selftest`; `seconds` is the deadline of each trial. Raises `HsmError`.

    With `rehearse` it logs in and opens a session, and tries nothing.
    """
    order = Order(place=place, after=CHECKS[-1].name if rehearse else "")
    token: TokenInfo | None = None
    rows: dict[str, Row] = {}
    while True:
        lines, ended = _run(order, seconds, program)
        for line in lines:
            if line.error is not None:
                raise line.error.error()
            token = line.token or token
            if line.row is not None:
                rows[line.row.name] = line.row
        if token is None:
            raise SlotUnavailable(
                f"{place.wanted}: the module {ended or 'said nothing'} before the first trial"
            )
        running = next((line.begins for line in reversed(lines) if line.begins), "")
        if not ended or running in rows:
            return Report(token=token, rows=[rows[check.name] for check in CHECKS if check.name in rows])
        purpose = next(check.purpose for check in CHECKS if check.name == running)
        rows[running] = Row(name=running, purpose=purpose, outcome=ended)
        order = msgspec.structs.replace(order, after=running)


def main(*, entropy: Entropy) -> int:
    """Be the process with the module: take an order, try, tell. What the module prints goes nowhere."""
    harden()
    limit_memory(1)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    with os.fdopen(os.dup(1), "wb", buffering=0) as output:
        fall_silent()
        return _tried(order, entropy, lambda line: output.write(msgspec.json.encode(line) + b"\n"))


def _tried(order: Order, entropy: Entropy, tell: Callable[[_Line], object]) -> int:
    try:
        sessions = opened(order.place)
        try:
            tell(_Line(token=info_of(sessions.token)))
            bench = Bench(sessions.token.open(), entropy)
        except pkcs11.PKCS11Error as error:
            raise classify(error, f"{order.place.wanted}: opening a session") from error
    except HsmError as error:
        tell(_Line(error=Told(type(error).__name__, str(error))))
        return 1
    names = [check.name for check in CHECKS]
    first = names.index(order.after) + 1 if order.after else 0
    for check in CHECKS[first:]:
        tell(_Line(begins=check.name))
        began = time.perf_counter()
        outcome: Literal["yes", "no"] = "yes"
        try:
            detail = check.run(bench)
        except FAILURES as error:
            outcome, detail = "no", described(error)
        taken = int((time.perf_counter() - began) * 1e6)
        row = Row(name=check.name, purpose=check.purpose, outcome=outcome, detail=detail, microseconds=taken)
        tell(_Line(row=row))
    return 0


def _run(
    order: Order, seconds: float, program: Sequence[str]
) -> tuple[list[_Line], Literal["", "crashed", "hung"]]:
    """One life of the child: its lines, and how it ended if not by itself."""
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
        lines: list[_Line] = []
        while select.select([child.stdout], [], [], seconds)[0]:
            raw = child.stdout.readline()
            if not raw:
                said = bool(lines) and lines[-1].error is not None
                return lines, "" if child.wait() == 0 or said else "crashed"
            lines.append(msgspec.json.decode(raw, type=_Line))
        child.kill()
        return lines, "hung"


if __name__ == "__main__":
    raise SystemExit(main(entropy=os.urandom))
