# SPDX-License-Identifier: EUPL-1.2
"""What a start would find on this machine, tried without a start: for `-test-config` and `operator diagnose`.

Nothing is made or changed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from vault.framework.clock import Clock, Entropy
from vault.server.config.settings import Config, Listener
from vault.server.failure import StartFailure
from vault.server.http import tls
from vault.server.process import resources
from vault.server.seals.slots import make_slots


def problems(config: Config, clock: Clock) -> list[str]:
    """Return why a start with `config` would fail: certificates, static keys, and the directories of what it writes."""
    found = [text for listener in config.listeners for text in certificates(listener, clock)]
    return [*found, *keys(config), *storage(config), *audit(config), *own_files(config)]


def storage(config: Config) -> Iterator[str]:
    """Tell why the database could not be opened or made."""
    if config.storage.is_file:
        file = Path(config.storage.path)
        yield from _file(f"path of storage {file}", file)


def audit(config: Config) -> Iterator[str]:
    """Tell which file of an audit device could not be written."""
    for device in config.audit:
        if device.file:
            file = Path(device.file)
            yield from _file(f'audit device "{device.path}": {file}', file, folders_made=True)


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


def keys(config: Config) -> Iterator[str]:
    """Tell which static key cannot be read. Devices are not asked: a start does not depend on them."""
    try:
        make_slots(config, Entropy())
    except StartFailure as failure:
        yield str(failure)


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
    elif file.exists() and not (file.is_file() and os.access(file, os.W_OK)):
        yield f"{what}: is not a file that can be written; check its kind, owner and mode"


def nearest(folder: Path) -> Path:
    """Return the nearest directory that is there: the start makes the directories of an audit file."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
