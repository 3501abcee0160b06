# SPDX-License-Identifier: EUPL-1.2
"""What a start would find on this machine, tried without a start: for `-test-config` and `operator diagnose`.

Nothing is made or changed.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from vault.framework.clock import Clock, Entropy
from vault.server.config.settings import Config, Listener
from vault.server.failure import StartFailure
from vault.server.http import tls
from vault.server.otlp import feed
from vault.server.process import resources
from vault.server.seals.slots import make_slots
from vault.storage.copies.encryption import STANZA, recipients_of
from vault.storage.protocol import StorageFailure

_TLS_FILES: Final = ("tls_ca_file", "tls_cert_file", "tls_key_file")
_ANY: Final = "any"
"""A file of a folder in which several will be."""
_CREDENTIALS: Final = Path("/run/credentials")
_NO_DISKS: Final = ("/proc", "/sys")


def problems(config: Config, clock: Clock) -> list[str]:
    """Return why a start with `config` would fail, or a backup or delivery later: files, and directories of what is written."""
    found = [
        text
        for listener in config.listeners
        for text in (*certificates(listener, clock), *socket_file(listener))
    ]
    written = (*storage(config), *audit(config), *log_folder(config), *own_files(config))
    return [*found, *keys(config), *written, *snapshots(config), *collector(config)]


def storage(config: Config) -> Iterator[str]:
    """Tell why the database could not be opened or made, or asked."""
    settings = config.storage
    if settings.is_file:
        file = Path(settings.path)
        yield from _file(f"path of storage {file}", file)
    yield from _named_files("storage", settings, "password_file", *_TLS_FILES)


def audit(config: Config) -> Iterator[str]:
    """Tell which file of an audit device could not be written."""
    for device in config.audit:
        if device.file:
            file = Path(device.file)
            yield from _file(f'audit device "{device.path}": {file}', file, folders_made=True)


def log_folder(config: Config) -> Iterator[str]:
    """Tell why the log could not be kept, and which files of its devices and witnesses cannot be read."""
    settings = config.log
    if settings.path:
        folder = Path(settings.path)
        yield from _file(f"log path {folder}", folder / _ANY, folders_made=True)
    for device in settings.devices:
        yield from _named_files(f'log device "{device.name}"', device, "token_file", *_TLS_FILES)
    for witness in settings.witnesses:
        yield from _named_files(f'witness "{witness.name}"', witness, "tls_ca_file")


def snapshots(config: Config) -> Iterator[str]:
    """Tell why a scheduled backup could not be made, or encrypted, or sent."""
    for schedule in config.snapshots:
        what = f'snapshot "{schedule.name}"'
        yield from _file(f"{what}: path {schedule.path}", Path(schedule.path) / _ANY)
        yield from _named_files(what, schedule, "credentials_file", "tls_ca_file")
        file = schedule.recipients_file
        try:
            recipients_of(schedule.recipients, "" if _comes_with_the_unit(Path(file)) else file, STANZA)
        except StorageFailure as failure:
            yield f"{what}: {failure}"


def collector(config: Config) -> Iterator[str]:
    """Tell which file of the collector cannot be used."""
    settings = config.telemetry.otlp
    yield from _named_files("otlp", settings, *_TLS_FILES)
    if _comes_with_the_unit(Path(settings.headers_file)):
        return
    try:
        feed.headers_of(settings.headers_file)
    except StartFailure as failure:
        yield str(failure)


def own_files(config: Config) -> Iterator[str]:
    """Tell why the log or the process id could not be written. Pipes and devices are left to the start."""
    for name, path in (("log_file", config.log_file), ("pid_file", config.pid_file)):
        device = os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)
        if path and not device:
            yield from _file(f"{name} {path}", Path(path))
    if os.path.isfile(config.pid_file):
        with contextlib.suppress(OSError), open(config.pid_file, "rb") as file:
            if not resources.holds_process_id(file):
                yield f"pid_file {config.pid_file}: {resources.NO_PROCESS_ID}"


def certificates(listener: Listener, clock: Clock) -> Iterator[str]:
    """Tell which certificate cannot be used."""
    try:
        if tls.context_for(listener) is not None:
            tls.expiry(listener, tls.utc(clock.millis()))
    except StartFailure as failure:
        yield str(failure)


def socket_file(listener: Listener) -> Iterator[str]:
    """Tell why the socket of a `unix` listener could not be made."""
    if listener.kind != "unix":
        return
    file = Path(listener.address)
    if os.path.isfile(file):  # which, other than a path's own, does not raise where nobody may look
        yield f"listener address {file}: is a file, not a socket; choose another path"
    yield from _file(f"listener address {file}", file.parent / _ANY)


def keys(config: Config) -> Iterator[str]:
    """Tell which static key cannot be read. Devices are not asked: a start does not depend on them."""
    try:
        make_slots(config, Entropy())
    except StartFailure as failure:
        yield str(failure)


def _named_files(what: str, settings: msgspec.Struct, *names: str) -> Iterator[str]:
    """Tell which of the files cannot be read that these fields of `settings` name."""
    for name in names:
        if (file := getattr(settings, name)) and not _comes_with_the_unit(Path(file)):
            yield from _unreadable(f"{what}: {name} {file}", Path(file))


def _comes_with_the_unit(file: Path) -> bool:
    """Whether a file is a credential of a unit that does not run: systemd shows it once the unit starts."""
    return _CREDENTIALS in file.parents and not os.path.exists(file.parent)


def _unreadable(what: str, file: Path) -> Iterator[str]:
    try:
        found = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # a pipe that nobody writes to is not waited for
    except OSError as error:
        yield f"{what}: cannot be read: {error.strerror}; check path, owner and mode"
        return
    directory = stat.S_ISDIR(os.fstat(found).st_mode)
    os.close(found)
    if directory:
        yield f"{what}: is a directory; name a file"


def _file(what: str, file: Path, *, folders_made: bool = False) -> Iterator[str]:
    """Tell why `file` could not be opened, or made; in a directory that is there already unless `folders_made`."""
    try:
        yield from _hindrance(what, file, nearest(file.parent) if folders_made else file.parent)
    except OSError as error:
        yield f"{what}: cannot be looked at: {error.strerror}; check the path"


def _hindrance(what: str, file: Path, folder: Path) -> Iterator[str]:
    if not folder.exists():
        yield f"{what}: the directory {folder} does not exist; make it"
    elif not folder.is_dir():
        yield f"{what}: {folder} is not a directory; check the path"
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield f"{what}: the directory {folder} is not writable; give it to the server's user"
    elif folder.stat().st_dev in {os.stat(place).st_dev for place in _NO_DISKS if os.path.ismount(place)}:
        yield f"{what}: {folder} is on no disk; choose another path"
    elif file.exists() and not (file.is_file() and os.access(file, os.W_OK)):
        yield f"{what}: is not a file that can be written; check its kind, owner and mode"


def nearest(folder: Path) -> Path:
    """Return the nearest directory that is there: the start makes the directories of an audit file."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
