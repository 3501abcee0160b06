# SPDX-License-Identifier: Apache-2.0
"""The first message of TLS, to see what a server takes up: a library would refuse to offer what is too old, or too new.

Nothing is encrypted here, and no handshake is finished: the connection ends after the server's first message.
"""

from __future__ import annotations

import secrets
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from esa_conformance.errors import NoAnswer

SSL_3_0: Final = 0x0300
TLS_1_0: Final = 0x0301
TLS_1_1: Final = 0x0302
TLS_1_2: Final = 0x0303
TLS_1_3: Final = 0x0304
X25519: Final = 0x001D
P256: Final = 0x0017
X25519_ML_KEM_768: Final = 0x11EC

_OLD: Final = (0xC014, 0xC013, 0xC00A, 0xC009, 0x0039, 0x0033, 0x0035, 0x002F, 0x000A)
_TLS_1_2: Final = (0xC02C, 0xC02B, 0xC030, 0xC02F, 0xCCA9, 0xCCA8, 0x009D, 0x009C)
_TLS_1_3: Final = (0x1301, 0x1302, 0x1303)
_SIGNATURES: Final = (
    0x0403,
    0x0503,
    0x0603,
    0x0807,
    0x0804,
    0x0805,
    0x0806,
    0x0401,
    0x0501,
    0x0601,
    0x0201,
    0x0203,
)
_RETRY: Final = sha256(b"HelloRetryRequest").digest()
_HANDSHAKE: Final = 22
_SERVER_HELLO: Final = 2
_MOST_BYTES: Final = 1 << 14


@dataclass(frozen=True)
class Taken:
    """What a server took up of an offer: the version, and with TLS 1.3 the group that it asks for."""

    version: int
    group: int


def offer(address: tuple[str, int], version: int, groups: Sequence[int], within_s: float) -> Taken | None:
    """Offer one version of TLS, and groups for the agreement; None where the server refuses. Raises NoAnswer."""
    try:
        with socket.create_connection(address, timeout=within_s) as connection:
            connection.sendall(_record(_hello(address[0], version, groups)))
            return _answer(connection)
    except TimeoutError:
        raise NoAnswer("no answer to the first message of TLS") from None
    except ConnectionError:
        return None
    except OSError as error:
        raise NoAnswer(f"the server cannot be reached: {error.strerror}") from None


def _hello(host: str, version: int, groups: Sequence[int]) -> bytes:
    suites = {TLS_1_3: _TLS_1_3, TLS_1_2: (*_TLS_1_2, *_OLD)}.get(version, _OLD)
    body = struct.pack(">H", min(version, TLS_1_2)) + secrets.token_bytes(32) + b"\x00"
    body += _vector(2, b"".join(struct.pack(">H", one) for one in suites)) + b"\x01\x00"
    if version > SSL_3_0:
        body += _vector(2, b"".join(_extensions(host, version, groups)))
    return b"\x01" + _vector(3, body)


def _extensions(host: str, version: int, groups: Sequence[int]) -> list[bytes]:
    named = b"".join(struct.pack(">H", one) for one in groups)
    made = [_extension(10, _vector(2, named)), _extension(11, b"\x01\x00")]
    if not host.replace(".", "").isdigit() and ":" not in host:
        made.append(_extension(0, _vector(2, b"\x00" + _vector(2, host.encode("idna")))))
    if version >= TLS_1_2:
        made.append(_extension(13, _vector(2, b"".join(struct.pack(">H", one) for one in _SIGNATURES))))
    if version == TLS_1_3:
        # No share is sent, so the server has to name the group that it wants one of (RFC 8446, 4.1.4).
        made += [_extension(43, _vector(1, struct.pack(">H", TLS_1_3))), _extension(51, _vector(2, b""))]
    return made


def _extension(number: int, data: bytes) -> bytes:
    return struct.pack(">H", number) + _vector(2, data)


def _vector(width: int, data: bytes) -> bytes:
    return len(data).to_bytes(width, "big") + data


def _record(message: bytes) -> bytes:
    return bytes([_HANDSHAKE]) + struct.pack(">H", TLS_1_0) + _vector(2, message)


def _answer(connection: socket.socket) -> Taken | None:
    """What the first record of the server says; None where it is no ServerHello."""
    head = _read(connection, 5)
    if len(head) < 5 or head[0] != _HANDSHAKE:
        return None
    message = _read(connection, min(int.from_bytes(head[3:], "big"), _MOST_BYTES))
    if len(message) < 39 or message[0] != _SERVER_HELLO:
        return None
    version, nonce, rest = int.from_bytes(message[4:6], "big"), message[6:38], message[38:]
    told = _extensions_of(rest[1 + rest[0] + 3 :])
    group = int.from_bytes(told.get(51, b"")[:2], "big") if nonce == _RETRY else 0
    return Taken(int.from_bytes(told[43], "big") if 43 in told else version, group)


def _extensions_of(data: bytes) -> dict[int, bytes]:
    found, place = {}, 2
    while place + 4 <= len(data):
        number, size = struct.unpack_from(">HH", data, place)
        found[number] = data[place + 4 : place + 4 + size]
        place += 4 + size
    return found


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (piece := connection.recv(size - len(data))):
        data += piece
    return data
