# SPDX-License-Identifier: EUPL-1.2
"""What an HSM costs, on a SoftHSM token: `make bench-hsm`. Microseconds, median and 99th percentile.

The same operations are done in this process and through the agent; the difference is the price of a vault that
lives when a vendor's module crashes. Then KV reads of two servers, one opened by shares and one by the token.
"""

import argparse
import asyncio
import contextlib
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsm.agent.device import Device
from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.client.settings import Pkcs11Settings
from hsm.pin import FilePin
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.perf import bench, programs
from tests.perf.load import Target, run_round
from tests.perf.server import running, set_up
from tests.unit.seal.auto import Machine
from vault.seal.records.sealwrap import SealWrap
from vault.seal.records.slots import Slots
from vault.values.ids import ROOT_ID

_DEK = bytes(range(32))
_TOGETHER = 64
_DIGEST = bytes(32)
_STARTS = 10
_ROUNDS = 5
_SECONDS = 3.0


class Figure(NamedTuple):
    """Seconds that each of many runs took."""

    what: str
    where: str
    seconds: list[float]

    def line(self) -> str:
        """The figure as a row."""
        ordered = sorted(self.seconds)
        middle, late = statistics.median(ordered), ordered[len(ordered) * 99 // 100]
        return f"{self.what:<28}{self.where:<28}{middle * 1e6:>10.1f}{late * 1e6:>10.1f}"


class Reads(NamedTuple):
    """One round of KV reads."""

    rate: float
    """Requests a second."""
    cost: float
    """Seconds of processor time for one, of the server and its agent."""


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="runs of each operation")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help="of KV reads on each server")
    given = parser.parse_args()
    count, rounds = int(given.count), int(given.rounds)
    with tempfile.TemporaryDirectory(prefix="coffre-hsm-") as folder:
        softhsm = SoftHsm(Path(folder) / "softhsm")
        softhsm.initialise("a")
        os.environ["SOFTHSM2_CONF"] = str(softhsm.configuration)
        pin = Path(folder) / "pin"
        pin.write_text(PIN)
        pin.chmod(0o400)
        device = softhsm.device("a")
        device.start()
        device.generate_kek("aes", modifiable=False)
        device.generate_key_pair("signer", b"v0001", "p256")
        figures = [*_in_process(device, count), *asyncio.run(_through_agent(softhsm, FilePin(pin), count))]
        reads = _reads(softhsm, pin, Path(folder), rounds)
    print(f"{'operation':<28}{'where':<28}{'p50 us':>10}{'p99 us':>10}")
    print("\n".join(figure.line() for figure in sorted(figures, key=lambda figure: figure.what)))
    for name, each in reads.items():
        for what, found in (
            ("KV reads a second", [read.rate for read in each]),
            ("processor us a KV read", [read.cost * 1e6 for read in each]),
        ):
            span = f"{rounds} rounds from {min(found):.1f} to {max(found):.1f}"
            print(f"{what:<28}{name:<28}{statistics.median(found):>10.1f}  {span}")
    return 0


def _reads(softhsm: SoftHsm, pin: Path, folder: Path, rounds: int) -> dict[str, list[Reads]]:
    """KV reads of two servers in turn, each alone on one core: opened by shares, and by the token.

    They take turns in going first. What a read costs the processor is little changed by others on the machine.
    """
    stanza = f'seal "pkcs11" {{ lib = "{SOFTHSM}" token_label = "a" key_label = "kek" pin = "file://{pin}" }}'
    environment = {"SOFTHSM2_CONF": str(softhsm.configuration), "XDG_RUNTIME_DIR": str(softhsm.runtime)}
    tls = programs.certificate(folder)
    servers = [
        programs.coffre(folder / "shares", tls),
        programs.coffre(folder / "token", tls, seal=stanza, environment=environment),
    ]
    operation = bench.operations()[0]
    found: dict[str, list[Reads]] = {server.name: [] for server in servers}
    with contextlib.ExitStack() as stack:
        aims = []
        for server in servers:
            started = stack.enter_context(running(server, core=0, log=folder / f"{server.name}.log"))
            aims.append((started, set_up(server, secret=bench.SECRET, keys=bench.KEYS)))
        for number in range(-1, rounds):
            for started, token in aims if number % 2 else reversed(aims):
                target = Target(started.program.address, [("X-Vault-Token", token)])
                before = started.processor_seconds()
                taken = run_round(target, operation, seconds=_SECONDS, connections=16, core=1, scratch=folder)
                used = started.processor_seconds() - before
                if number >= 0:
                    found[started.program.name].append(Reads(taken.rate, used / (taken.rate * _SECONDS)))
    return found


def _in_process(device: Device, count: int) -> list[Figure]:
    wrapped = device.wrap(_DEK)
    software = AESGCM(_DEK)
    sealed = software.encrypt(bytes(12), _DEK, None)
    where = "in this process"
    return [
        Figure(
            "AES-GCM without a token", where, _timed(lambda: software.decrypt(bytes(12), sealed, None), count)
        ),
        Figure("wrap, and unwrap to verify", where, _timed(lambda: device.wrap(_DEK), count)),
        Figure("unwrap", where, _timed(lambda: device.unwrap(wrapped), count)),
        Figure("random, 32 bytes", where, _timed(lambda: device.random(32), count)),
        Figure(
            "sign, P-256", where, _timed(lambda: device.sign("signer", b"v0001", "ECDSA", _DIGEST), count)
        ),
    ]


async def _through_agent(softhsm: SoftHsm, pin: FilePin, count: int) -> list[Figure]:
    def made() -> Pkcs11Slot:
        settings = Pkcs11Settings(lib=SOFTHSM, pin=pin, name="a", token_label="a", key_label="kek")
        return Pkcs11Slot(settings, chance=lambda: 0.0, directory=softhsm.runtime)

    slot = made()
    wrapped = await slot.wrap(_DEK)
    agent = "through the agent"

    async def together() -> None:
        await asyncio.gather(*(slot.unwrap(wrapped) for _ in range(_TOGETHER)))

    def signing() -> None:
        slot.sign_blocking("signer", b"v0001", "ECDSA", _DIGEST)

    at_once = await _awaited(together, count // _TOGETHER + 1)
    figures = [
        Figure("wrap, and unwrap to verify", agent, await _awaited(lambda: slot.wrap(_DEK), count)),
        Figure("unwrap", agent, await _awaited(lambda: slot.unwrap(wrapped), count)),
        Figure("unwrap", f"agent, {_TOGETHER} at once, each", [each / _TOGETHER for each in at_once]),
        Figure("random, 32 bytes", agent, await _awaited(lambda: slot.random(32), count)),
        Figure("sign, P-256", "agent, from a thread", await asyncio.to_thread(_timed, signing, count)),
    ]
    figures += await _unsealing(made)
    await slot.close()
    return figures


async def _unsealing(made: Callable[[], Pkcs11Slot]) -> list[Figure]:
    """From a sealed vault to an open one: with an agent that runs, and with one that must start."""
    slot = made()
    slots = Slots(enabled=[slot])
    machine = Machine(slots, os.urandom)
    await machine.init()
    await machine.life.auto_unseal()
    wraps = SealWrap(machine.storage, machine.barrier, slots, now=lambda: 0, random=os.urandom)
    value = await wraps.wrap(ROOT_ID, "value", bytes(32))
    async with machine.barrier.write(ROOT_ID, "ns/root/") as core:
        await wraps.put(core, "value", value)

    async def wrapped() -> None:
        wraps.drop()
        await wraps.get(machine.barrier.reader(ROOT_ID, "ns/root/"), ROOT_ID, "value")

    async def kept() -> None:
        await wraps.get(machine.barrier.reader(ROOT_ID, "ns/root/"), ROOT_ID, "value")

    reads = [
        Figure("read of a wrapped value", "agent that runs", await _awaited(wrapped, 200)),
        Figure("read of a wrapped value", "kept for a minute", await _awaited(kept, 200)),
    ]

    async def restarted() -> None:
        await machine.restart(Slots(enabled=[slot])).life.auto_unseal()

    warm = await _awaited(restarted, _STARTS)
    cold = []
    for _ in range(_STARTS):
        fresh = made()
        cold.append(await _once(machine.restart(Slots(enabled=[fresh])).life.auto_unseal))
        await fresh.close()
    await slot.close()
    return [
        *reads,
        Figure("unseal", "agent that runs", warm),
        Figure("unseal", "agent that must start", cold),
    ]


def _timed(work: Callable[[], object], count: int) -> list[float]:
    found = []
    for _ in range(count):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return found


async def _awaited(work: Callable[[], Awaitable[object]], count: int) -> list[float]:
    return [await _once(work) for _ in range(count)]


async def _once(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return time.perf_counter() - began


if __name__ == "__main__":
    raise SystemExit(main())
