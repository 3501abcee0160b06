# SPDX-License-Identifier: EUPL-1.2
"""Makes the sender of a device of any kind."""

from __future__ import annotations

from functools import partial

import msgspec

from vault.framework.clock import Clock
from vault.log.forward.batch import Batch
from vault.log.forward.kinds import otlp, syslog
from vault.log.forward.kinds.http import HttpSender
from vault.log.forward.kinds.schemes import TARGETS
from vault.log.forward.kinds.sender import Sender
from vault.log.forward.kinds.stream_sender import SETTLES, StreamSender
from vault.log.forward.settings import DeviceSettings, Kind
from vault.log.forward.transport.address import Address, parse_address
from vault.log.forward.transport.exchange import Receiver
from vault.log.forward.transport.stream import TlsFiles


def make_sender(settings: DeviceSettings, host: str, clock: Clock, *, settles: float = SETTLES) -> Sender:
    """Return what sends to a device; nothing is connected yet. Raises `BadAddress`.

    `host` is this machine's name; `settles` are the seconds of `StreamSender`.
    """
    address = parse_address(settings.address)
    files = TlsFiles(
        ca_file=settings.tls_ca_file, cert_file=settings.tls_cert_file, key_file=settings.tls_key_file
    )
    if settings.kind == "syslog":
        return StreamSender(address, files, partial(syslog.frames, host=host), settles)
    if settings.kind == "socket":
        return StreamSender(address, files, _ndjson, settles)
    receiver = Receiver(_with_target(address, settings.kind), files)
    if settings.kind == "http":
        return HttpSender(
            receiver, "application/x-ndjson", _ndjson, clock=clock, token_file=settings.token_file
        )
    return HttpSender(
        receiver,
        "application/json",
        otlp.body,
        clock=clock,
        token_file=settings.token_file,
        refused=otlp.rejected,
    )


def _ndjson(batch: Batch) -> bytes:
    return batch.ndjson


def _with_target(address: Address, kind: Kind) -> Address:
    return address if address.target else msgspec.structs.replace(address, target=TARGETS[kind])
