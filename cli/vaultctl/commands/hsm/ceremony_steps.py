# SPDX-License-Identifier: EUPL-1.2
"""The steps of a ceremony: done by hand and affirmed, or done here and written down."""

from __future__ import annotations

import asyncio

from vaultctl.commands.hsm.device import TokenFlags
from vaultctl.errors import CommandError
from vaultctl.invocation import Invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hsm.ceremony.transcript import Step, Task
    from hsm.token_info import TokenInfo, WantedToken

_UNWRAPS = 100


class CeremonyStopped(Exception):
    """Somebody ended the ceremony, or a step failed; what was done so far is written down."""


def perform(
    invocation: Invocation, device: TokenFlags, task: Task, steps: list[Step], now: Callable[[], str]
) -> None:
    """Have one step done and append what came of it to `steps`. Raises `CeremonyStopped`."""
    from hsm.ceremony.transcript import Step
    from hsm.errors import HsmError

    actions: dict[str, Callable[[], dict[str, str]]] = {
        "record-token": lambda: _token(device),
        "generate-kek": lambda: _generate(invocation, device),
        "record-key": lambda: _newest(device),
        "test": lambda: _test(device),
    }
    found: dict[str, str] = {}
    try:
        if task.action == "confirm":
            _confirm(invocation, task.by, found)
        else:
            found.update(actions[task.action]())
            for key, value in found.items():
                invocation.say(f"   {key}: {value}")
    except (HsmError, CommandError) as error:
        found["failed"] = str(error)
        invocation.warn(f"   failed: {error}")
        raise CeremonyStopped from None
    except CeremonyStopped:
        found["stopped"] = "yes"
        raise
    finally:
        steps.append(Step(now(), task.by, task.text, task.action, found))


def dry_run(invocation: Invocation, device: TokenFlags, tasks: Sequence[Task]) -> None:
    """Refuse what a step would refuse; what hangs on a key that an earlier step makes is not asked for.

    Raises `HsmError` and `CommandError`.
    """
    from vaultctl.commands.hsm.keys import make_first

    made = False
    for task in tasks:
        if task.action == "record-token":
            _token(device)
        elif task.action == "generate-kek":
            if made:
                raise CommandError(f"key {device.key_label}: an earlier step makes it already")
            make_first(invocation, device)
            made = True
        elif task.action == "record-key" and not made:
            _newest(device)
        elif task.action == "test" and not made:
            _test(device)


def answer(invocation: Invocation, question: str) -> str:
    """A line that is not empty. Raises `CeremonyStopped` at `stop` and at the end of the input."""
    while True:
        invocation.stdout.write(question)
        invocation.stdout.flush()
        line = invocation.stdin.readline()
        if not line or line.strip() == "stop":
            raise CeremonyStopped
        if line.strip():
            return line.strip()


def _confirm(invocation: Invocation, who: str, found: dict[str, str]) -> None:
    """Ask until the step is done; every other answer is kept as a remark."""
    remarks: list[str] = []
    while (said := answer(invocation, f"   {who}, is it done? ")) != "yes":
        remarks.append(said)
        found["remarks"] = "; ".join(remarks)


def _token(device: TokenFlags) -> dict[str, str]:
    from hsm.client.pkcs11_slot import list_tokens
    from hsm.client.report import SOFTWARE_WARNING
    from hsm.errors import SlotUnavailable

    wanted = device.wanted()
    tokens = asyncio.run(list_tokens(device.lib, device.parameters, seconds=device.seconds))
    found = [token for token in tokens if _is(token, wanted)]
    if len(found) != 1:
        raise SlotUnavailable(f"{wanted}: the module shows {len(found)} of them")
    token = found[0]
    return {
        "label": token.label,
        "serial": token.serial,
        "manufacturer": token.manufacturer,
        "model": token.model,
        "firmware": token.firmware,
        "flags": ", ".join(token.words) or "none",
        "protection": SOFTWARE_WARNING if token.software else "as its maker says",
    }


def _generate(invocation: Invocation, device: TokenFlags) -> dict[str, str]:
    from vaultctl.commands.hsm.keys import key_document, make_first

    made = make_first(invocation, device)
    assert made is not None
    return _texts(key_document(device, made))


def _newest(device: TokenFlags) -> dict[str, str]:
    from hsm.versions import newest
    from vaultctl.commands.hsm.keys import key_document

    versions = device.run(lambda slot: slot.keys())
    return _texts(key_document(device, newest(versions, device.key_label)))


def _test(device: TokenFlags) -> dict[str, str]:
    from vaultctl.commands.hsm.roundtrip import use

    return _texts(device.run(lambda slot: use(slot, _UNWRAPS)))


def _is(token: TokenInfo, wanted: WantedToken) -> bool:
    if not (wanted.label or wanted.serial):
        return token.slot == wanted.slot
    return wanted.label in ("", token.label) and wanted.serial in ("", token.serial)


def _texts(document: dict[str, object]) -> dict[str, str]:
    from vaultctl.commands.hsm.keys import words

    return {key: words(value) for key, value in document.items()}
