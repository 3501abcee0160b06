# SPDX-License-Identifier: EUPL-1.2
"""`vaultctl operator diagnose`: everything that a start would meet on this machine, looked at without a start."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import shutil
import socket
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from hsm.key_slot import KeySlot
from vault.framework.clock import Clock, Entropy
from vault.server.config import files as configuration
from vault.server.config.settings import Config, Listener
from vault.server.failure import StartFailure
from vault.server.http import tls
from vault.server.offline import preflight
from vault.server.seals.slots import make_slots

Status = Literal["ok", "warn", "fail", "skip"]
SKIPPED: Final = ("listener", "storage", "autounseal")
"""What can be left out, as while the server is running."""
_SHOWN: Final[Mapping[Status, str]] = {
    "ok": "success",
    "warn": "warning",
    "fail": "failure",
    "skip": "skipped",
}
_CODES: Final[Mapping[Status, int]] = {"ok": 0, "skip": 0, "warn": 2, "fail": 1}
_BADNESS: Final[tuple[Status, ...]] = ("ok", "skip", "warn", "fail")
_NO_CONFIG: Final = 3
_FEW_FILES: Final = 1024
_SOON_DAYS: Final = 30


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """Free bytes below which a disk is said to be nearly full, and full: the next records take as much as that."""

    little: int = 1 << 30
    nothing: int = 1 << 20


USUAL_ROOM: Final = Room()


class Finding(msgspec.Struct, frozen=True):
    """What one look has shown."""

    name: str
    status: Status
    message: str = ""


class Diagnosis(msgspec.Struct, frozen=True):
    """All of it; the worst counts."""

    name: str
    status: Status
    children: Sequence[Finding]


def main(
    paths: Sequence[str],
    environment: Mapping[str, str],
    *,
    skip: Sequence[str] = (),
    json: bool = False,
    room: Room = USUAL_ROOM,
) -> int:
    """Print what was found; 0 when all is well, 1 for failures, 2 for warnings, 3 without a configuration."""
    paths = configuration.named(paths, environment)
    if not paths:
        sys.stderr.write("give a file or a directory with -config\n")
        return _NO_CONFIG
    found = list(look(paths, environment, skip=skip, clock=Clock(), room=room))
    worst = max((one.status for one in found), key=_BADNESS.index)
    if json:
        text = msgspec.json.format(
            msgspec.json.encode(Diagnosis("Diagnose", worst, found)), indent=2
        ).decode()
    else:
        text = "\n".join(
            f"[ {_SHOWN[one.status]} ] {one.name}" + (f": {one.message}" if one.message else "")
            for one in found
        )
    sys.stdout.write(f"{text}\n")
    return _CODES[worst]


def look(
    paths: Sequence[str], environment: Mapping[str, str], *, skip: Sequence[str], clock: Clock, room: Room
) -> Iterator[Finding]:
    """Look at one thing after the other; what needs a configuration ends where there is none."""
    yield _files()
    verdict = configuration.validate(paths)
    for text in verdict.problems:
        yield Finding("Configuration", "fail", text)
    for text in verdict.warnings:
        yield Finding("Configuration", "warn", text)
    if verdict.problems:
        return
    try:
        config = configuration.load(paths, environment)
    except StartFailure as failure:
        yield Finding("Configuration", "fail", str(failure))
        return
    yield Finding("Configuration", "ok")
    yield from _skippable(
        "storage", "Storage", skip, [*_told("Storage", preflight.storage(config)), *_disk(config, room)]
    )
    if "autounseal" in skip:
        yield Finding("Seal", "skip")
    else:
        yield from _seals(config)
    yield from _audit(config, room)
    yield from _told("Log", preflight.log_folder(config))
    yield from _told("Server files", preflight.own_files(config))
    yield from _told("Snapshots", preflight.snapshots(config))
    yield from _told("Telemetry", preflight.collector(config))
    for listener in config.listeners:
        yield from _skippable("listener", "Listener", skip, _listener(listener, clock))


def _skippable(what: str, name: str, skip: Sequence[str], found: Sequence[Finding]) -> Sequence[Finding]:
    return [Finding(name, "skip")] if what in skip else found


def _told(name: str, problems: Iterable[str]) -> list[Finding]:
    return [Finding(name, "fail", text) for text in problems] or [Finding(name, "ok")]


def _seals(config: Config) -> list[Finding]:
    """Ask each key slot to wrap something and give it back, as a start would."""
    try:
        slots = make_slots(config, Entropy()).enabled
    except StartFailure as failure:
        return [Finding("Seal", "fail", str(failure))]
    return asyncio.run(_probed(slots)) or [Finding("Seal", "ok")]


async def _probed(slots: Sequence[KeySlot]) -> list[Finding]:
    states = await asyncio.gather(*(slot.probe() for slot in slots))
    for slot in slots:
        await slot.close()
    return [
        Finding(f"Seal {slot.name}", "fail", state.reason)
        if not state.up
        else Finding(f"Seal {slot.name}", "warn" if state.remark else "ok", state.remark or state.description)
        for slot, state in zip(slots, states, strict=True)
    ]


def _files() -> Finding:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)  # the server takes all of it
    few = most != resource.RLIM_INFINITY and most < _FEW_FILES
    return Finding(
        "Open files", "warn" if few else "ok", f"at most {most}" + (": raise LimitNOFILE" if few else "")
    )


def _disk(config: Config, room: Room) -> list[Finding]:
    if not config.storage.is_file:
        return []
    folder = Path(config.storage.path).parent
    return [_room("Disk", folder, room)] if folder.is_dir() else []


def _audit(config: Config, room: Room) -> list[Finding]:
    """Look at the files of the audit devices, and at the room that they have: without any, no request is served."""
    found = _told("Audit", preflight.audit(config))
    if found[0].status == "fail":
        return found
    folders = dict.fromkeys(
        preflight.nearest(Path(device.file).parent) for device in config.audit if device.file
    )
    rooms = [_room("Audit", folder, room) for folder in folders]
    return [one for one in rooms if one.status != "ok"] or found


def _room(name: str, folder: Path, room: Room) -> Finding:
    free = shutil.disk_usage(folder).free
    status: Status = "fail" if free < room.nothing else "warn" if free < room.little else "ok"
    return Finding(name, status, f"{free >> 20} MiB free in {folder}")


def _listener(listener: Listener, clock: Clock) -> list[Finding]:
    name = f"Listener {listener.address}"
    problems = (*preflight.certificates(listener, clock), *preflight.socket_file(listener))
    found = _told(name, problems)
    if listener.kind == "tcp" and listener.tls_disable:
        found = [Finding(name, "warn", "tls_disable is set: everybody on the way can read")]
    elif listener.kind == "tcp" and found[0].status == "ok":
        left = tls.expiry(listener, tls.utc(clock.millis())) - tls.utc(clock.millis())
        if left.days < _SOON_DAYS:
            found = [Finding(name, "warn", f"its certificate ends in {left.days} days")]
    if found[0].status != "fail" and (texts := tls.exposed([listener])):
        found = [
            *(one for one in found if one.status != "ok"),
            *(Finding(name, "warn", text) for text in texts),
        ]
    if listener.kind == "tcp":
        found += _port(name, listener.address)
    return found


def _port(name: str, address: str) -> list[Finding]:
    """Find out whether an address can be listened on, by doing so for a moment."""
    host, _, port = address.rpartition(":")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host.strip("[]"), int(port)))
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "not an address"
        running = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        return [
            Finding(
                name,
                "fail",
                why + ("; while the server runs, leave it out with -skip=listener" if running else ""),
            )
        ]
    return []
