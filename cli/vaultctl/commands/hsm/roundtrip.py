# SPDX-License-Identifier: EUPL-1.2
"""hsm test: wrap, unwrap, refuse what was changed, and measure."""

from __future__ import annotations

import os
import time

from vaultctl.commands.hsm.device import DeviceErrors, TokenFlags
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError, UsageError
from vaultctl.invocation import Invocation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hsm.client.pkcs11_slot import Pkcs11Slot

_DEFAULT_COUNT = 1000


def test(invocation: Invocation) -> int:
    """Use a key as a seal does."""
    count = invocation.number("count")
    if count is not None and count < 1:
        raise UsageError("-count: must be at least 1")
    with DeviceErrors():
        from hsm.key_slot import DEK_BYTES

        device = TokenFlags(invocation)
        if invocation.truth("dry-run"):
            device.run(lambda slot: slot.wrap(os.urandom(DEK_BYTES)))
            return invocation.succeed(
                f"Would wrap with key {device.key_label} in {device.wanted()}, "
                f"unwrap {count or _DEFAULT_COUNT} times, and unwrap a changed record."
            )
        found = device.run(lambda slot: use(slot, count or _DEFAULT_COUNT))
    if not invocation.tabular:
        return invocation.print_value(found)
    from vaultctl.text.output import key_values

    invocation.say(key_values([(key, str(value)) for key, value in found.items()]))
    return EXIT_OK


async def use(slot: Pkcs11Slot, count: int) -> dict[str, object]:
    """Wrap once, unwrap `count` times; what was used and how long it took, in microseconds."""
    from hsm.errors import IntegrityError
    from hsm.key_slot import DEK_BYTES

    key = os.urandom(DEK_BYTES)
    began = time.perf_counter()
    wrapped = await slot.wrap(key)
    wrapping = time.perf_counter() - began
    times = []
    for _ in range(count):
        began = time.perf_counter()
        if await slot.unwrap(wrapped) != key:
            raise CommandError("the token gave back something else than was wrapped", EXIT_REMOTE)
        times.append(time.perf_counter() - began)
    changed = bytes([wrapped.ct[0] ^ 1]) + wrapped.ct[1:]
    try:
        await slot.unwrap(type(wrapped)(m=wrapped.m, k=wrapped.k, iv=wrapped.iv, ct=changed, mac=wrapped.mac))
    except IntegrityError:
        times.sort()
    else:
        raise CommandError("the token unwrapped a record that was changed", EXIT_REMOTE)
    return {
        "mechanism": wrapped.m,
        "key_version": wrapped.k,
        "changed_record": "refused",
        "unwraps": count,
        "first_wrap_us": round(wrapping * 1e6),
        "unwrap_p50_us": round(times[len(times) // 2] * 1e6),
        "unwrap_p99_us": round(times[len(times) * 99 // 100] * 1e6),
    }
