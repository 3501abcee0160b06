# SPDX-License-Identifier: EUPL-1.2
"""`python -m hsm.agent.oneshot`: the process that does one task on a token (`hsm.orders`), and ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import pkcs11

from hsm.agent.hardening import fall_silent, harden, limit_memory
from hsm.agent.keys.key_import import import_kek, token_check_value
from hsm.agent.keys.objects import versions
from hsm.agent.session.login import LoginGate
from hsm.agent.session.module import load
from hsm.agent.session.pool import SessionPool
from hsm.errors import HsmError, SlotUnavailable
from hsm.orders import Answer, CheckValue, ImportKek, Order, TokenAccess
from hsm.pin import Pin
from hsm.protocol import AgentFailure
from hsm.runtime import boot_id
from hsm.versions import from_printable, next_version


def log_in(access: TokenAccess) -> SessionPool:
    """Load the module in this process and log in. Raises `HsmError`."""
    try:
        module = load(access.lib, access.parameters)
    except pkcs11.PKCS11Error as error:
        raise SlotUnavailable(f"lib {access.lib}: {str(error) or type(error).__name__}") from error
    gate = LoginGate(Path(access.runtime), boot_id(), force=access.force)
    sessions = SessionPool(module, access.wanted, Pin(access.pin), gate)
    sessions.start()
    return sessions


def main() -> int:
    """Take an order, do it, answer. What the module prints goes nowhere."""
    harden()
    limit_memory(1)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    output = os.fdopen(os.dup(1), "wb")
    fall_silent()
    try:
        answer = _perform(log_in(order.access), order.task)
    except HsmError as error:
        answer = Answer(failure=AgentFailure(type(error).__name__, str(error)))
    with output:
        output.write(msgspec.json.encode(answer))
    return 0


def _perform(sessions: SessionPool, task: CheckValue | ImportKek) -> Answer:
    label = task.label
    if isinstance(task, CheckValue):
        key_id = from_printable(task.version)
        return Answer(
            text=sessions.run(lambda session: token_check_value(session, label, key_id), "check value")
        )
    key, dry_run = task.key, task.dry_run
    made = sessions.run(
        lambda session: import_kek(
            session, label, next_version(versions(session, label)), key, dry_run=dry_run
        ),
        "import",
        write=True,
    )
    return Answer(key=made)


if __name__ == "__main__":
    raise SystemExit(main())
