# SPDX-License-Identifier: EUPL-1.2
"""Small things that an operator has done on a token, each in a process of its own that may crash or hang."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

from hsm.client.launch import without_secrets
from hsm.errors import SlotUnavailable
from hsm.orders import Answer, CheckValue, ImportKek, Order, TokenAccess
from hsm.versions import KeyVersion

PROGRAM: Final = (sys.executable, "-P", "-m", "hsm.agent.oneshot")


def check_value(
    access: TokenAccess, task: CheckValue, *, seconds: float, program: Sequence[str] = PROGRAM
) -> str:
    """Return the token's check value, in hexadecimal, or nothing. Raises `HsmError`."""
    return _answer(Order(access, task), seconds, program).text


def import_key(
    access: TokenAccess, task: ImportKek, *, seconds: float, program: Sequence[str] = PROGRAM
) -> KeyVersion:
    """Store the key. Raises `HsmError`."""
    made = _answer(Order(access, task), seconds, program).key
    assert made is not None
    return made


def _answer(order: Order, seconds: float, program: Sequence[str]) -> Answer:
    """Start the process, give it the order, and return what it answers in time. Raises `HsmError`."""
    with subprocess.Popen(
        list(program),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=without_secrets(os.environ),
    ) as child:
        try:
            output, _ = child.communicate(msgspec.json.encode(order), seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            raise SlotUnavailable(
                f"{order.access.wanted}: the module did not answer within {seconds:g} s"
            ) from None
    try:
        answer = msgspec.json.decode(output, type=Answer)
    except msgspec.DecodeError:
        raise SlotUnavailable(f"{order.access.wanted}: the module ended the process") from None
    if answer.failure is not None:
        raise answer.failure.error()
    return answer
