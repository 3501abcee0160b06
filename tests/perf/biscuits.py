# SPDX-License-Identifier: EUPL-1.2
"""What is measured of Biscuits, and beside what of OpenBao, which has none: its own tokens, its AppRole login."""

import http.client
import json
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from biscuit_auth import Biscuit, BlockBuilder, PublicKey

from tests.perf.load import Operation, Request
from tests.perf.server import Program

WARM, COLD, ISSUED = "kv read, biscuit", "kv read, new biscuit", "biscuit login"
COLD_A_SECOND = 2000
"""New tokens for each second of a round: more than are read with."""
_OF_ONE = 8
"""Chains that are made from one token."""


def narrowed(tokens: Sequence[str], key: str, count: int) -> Iterator[str]:
    """Return `count` chains of three blocks, no two alike: each issued token narrowed twice, as its holder would."""
    root = PublicKey(key)
    for number in range(count):
        token = Biscuit.from_base64(tokens[number // _OF_ONE], root)
        token = token.append(BlockBuilder('check if resource($r), $r.starts_with("secret/data/bench/");'))
        chosen = BlockBuilder(
            'check if operation($o), {"read"}.contains($o); hop({number});', {"number": number}
        )
        yield token.append(chosen).to_base64()


def ours(
    program: Program, key: str, login: Mapping[str, str], reads: Sequence[Request], fresh: int
) -> list[Operation]:
    """The operations with Biscuits: one that comes again, `fresh` that are new each, and making one."""
    body = json.dumps(dict(login), separators=(",", ":"))
    issued = _issued(program, body, (fresh + 1) // _OF_ONE + 1)
    chains = list(narrowed(issued, key, fresh + 1))
    return [
        Operation(WARM, [replace(read, token=chains[-1]) for read in reads]),
        Operation(COLD, [replace(reads[0], token=chain) for chain in chains[:-1]], once=True),
        Operation(ISSUED, [Request("POST", "/v1/nhi/login", body)]),
    ]


def theirs(reads: Sequence[Request], login: Operation) -> list[Operation]:
    """What OpenBao does in their place."""
    return [Operation(WARM, reads), Operation(COLD, reads), replace(login, name=ISSUED)]


def _issued(program: Program, body: str, count: int) -> list[str]:
    """Return new tokens, over one connection."""
    place = urlsplit(program.address)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(str(place.hostname), place.port, context=context, timeout=30)
    found = []
    for _ in range(count):
        connection.request("POST", "/v1/nhi/login", body)
        found.append(str(json.loads(connection.getresponse().read())["auth"]["client_token"]))
    connection.close()
    return found
