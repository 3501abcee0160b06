# SPDX-License-Identifier: EUPL-1.2
"""What a process that does one thing on a token is ordered to do, and what it answers. Nothing here touches a token.

Such a process (`hsm.agent.oneshot`, `hsm.agent.report`) gets its order on standard input, so that neither PIN nor key
is on a command line, and answers on standard output, in JSON.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from hsm.protocol import AgentFailure
from hsm.token_info import TokenInfo, WantedToken
from hsm.versions import KeyVersion


class TokenAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Which token, and how to log in. It holds the PIN: it goes through a pipe, and is neither shown nor kept."""

    lib: str
    parameters: str = ""
    wanted: WantedToken
    pin: bytes
    runtime: str
    """Where wrong PINs are remembered, as `hsm.agent.session.login` does."""
    force: bool = False

    def __repr__(self) -> str:
        return f"TokenAccess({self.lib!r}, {str(self.wanted)!r})"


class CheckValue(msgspec.Struct, frozen=True, tag="check_value"):
    """Answered by the token's own check value of an AES key, or by nothing where it gives none."""

    label: str
    version: str


class ImportKek(msgspec.Struct, frozen=True, tag="import_kek"):
    """Store an AES key as the next version of a label; answered by that `KeyVersion`. A dry run stores none."""

    label: str
    key: bytes
    dry_run: bool = False

    def __repr__(self) -> str:
        return f"ImportKek({self.label!r})"


class Order(msgspec.Struct, frozen=True):
    """One task on one token."""

    access: TokenAccess
    task: CheckValue | ImportKek


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a task: the text or the key that it asks for, or why there is none."""

    text: str = ""
    key: KeyVersion | None = None
    failure: AgentFailure | None = None


class ReportOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Try what a token can do."""

    access: TokenAccess
    after: str = ""
    """The trial to go on after; empty to start with the first."""
    dry_run: bool = False
    """Log in, open a session and try nothing."""


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of one trial."""

    name: str
    purpose: str
    outcome: Literal["yes", "no", "crashed", "hung"]
    detail: str = ""
    microseconds: int = 0


class CheckInfo(msgspec.Struct, frozen=True):
    """A trial as the process names it."""

    name: str
    purpose: str


class ReportLine(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One line of a process that tries: the token and all trials, one that begins, its outcome, or why there are none."""

    token: TokenInfo | None = None
    trials: tuple[CheckInfo, ...] = ()
    begins: CheckInfo | None = None
    result: CheckResult | None = None
    failure: AgentFailure | None = None
