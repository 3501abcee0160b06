# SPDX-License-Identifier: EUPL-1.2
"""A device that records: its settings, what writes to it, and what makes its lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from vault.audit.device import DeviceConfig
from vault.audit.hasher import Hasher
from vault.audit.record import Renderer
from vault.audit.writer import Outcome, Writer
from vault.framework.call import Call
from vault.framework.errors import VaultError
from vault.framework.reply import Reply
from vault.values.times import Nanos

ALL_HASHED: Final = "hmac_names_and_numbers"
"""Option of a device: whether numbers and names of members are hashed too, like strings."""


class LineMaker(Protocol):
    """Makes the lines of requests and answers; see `vault.audit.record.Renderer`."""

    def request(self, call: Call, now: Nanos, headers: Mapping[str, bool], error: VaultError | None) -> bytes:
        """Return the line of a request, before it is acted on; empty for none."""
        ...

    def response(
        self,
        call: Call,
        reply: Reply[object] | None,
        now: Nanos,
        headers: Mapping[str, bool],
        error: VaultError | None,
    ) -> bytes:
        """Return the line of a response, before it leaves."""
        ...

    def exchange(
        self,
        call: Call,
        reply: Reply[object] | None,
        times: tuple[Nanos, Nanos],
        headers: Mapping[str, bool],
        error: VaultError | None,
    ) -> bytes:
        """Return what is written of a call that changed nothing: its request's line was held."""
        ...

    def request_hasher(self, call: Call) -> Callable[[], bytes]:
        """Return the function that a thread runs to encode long data of a request."""
        ...

    def reply_hasher(self, call: Call, reply: Reply[object]) -> Callable[[], bytes] | None:
        """Return the function that a thread runs to encode a long answer; None where that is done already."""
        ...


class Sink(Protocol):
    """Takes lines: a device behind its writer, or the log."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def prompt(self) -> bool:
        """Whether the next write is made at once."""
        ...

    def write(self, line: bytes, now: float) -> Outcome | None:
        """Take whole lines at once, or later as the outcome tells. Raises `DeviceFailure`, `LogFailure`."""
        ...


class Recorder(msgspec.Struct, eq=False):
    """What takes lines, and what makes them."""

    device: Sink
    renderer: LineMaker


class OpenDevice(Recorder, eq=False, kw_only=True):
    """A device with the key of its hashes."""

    config: DeviceConfig
    hasher: Hasher


def assemble(config: DeviceConfig, device: Writer, salt: bytes) -> OpenDevice:
    """Return a device that records as its settings say, and hashes with `salt`."""
    raw = config.flag("log_raw", default=False)
    hasher = Hasher(
        salt,
        raw=raw,
        hash_accessor=config.flag("hmac_accessor", default=True),
        strings_only=not config.flag(ALL_HASHED, default=True),
    )
    prefix = config.options.get("prefix", "").encode()
    elide = config.flag("elide_list_responses", default=False)
    return OpenDevice(
        device,
        Renderer(hasher, raw=raw, prefix=prefix, elide_lists=elide),
        config=config,
        hasher=hasher,
    )
