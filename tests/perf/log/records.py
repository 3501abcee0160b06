# SPDX-License-Identifier: EUPL-1.2
"""Records as busy servers leave them, from a seed: callers, secrets and addresses are as unevenly spread as they are.

They are made by the server's own chain and writer; only what the records say is made up. One caller in ten has a
Biscuit with several blocks, one request in five leaves an attempt besides its outcome, and three in five have a trace.
"""

import fcntl
import json
import os
import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from vault.framework.clock import rfc3339_whole
from vault.log.chain import Chain, ChainState
from vault.log.draft import NO_TRACE, Draft, Frame
from vault.log.format.checkpoint import Checkpoint, sign_checkpoint
from vault.log.format.note import Signer
from vault.log.format.note_key import KeyKind, Verifier
from vault.log.writer import LogLimits, LogWriter
from vault.values.times import Nanos

BEGAN: Final = 1_795_824_000_000_000_000
"""Midnight before 28 November 2026."""
DAY: Final = 86_400_000_000_000
CALLERS: Final = 4_000
SECRETS: Final = 50_000
TENANTS: Final = 40
_LOGS: Final = ("01234567-0-1", "01234567-1-1")
_AT_ONCE: Final = 500
_B64: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class Caller(NamedTuple):
    """Somebody with a credential."""

    actor: str
    accessor: str
    tenant: str
    team: int
    encoded: bytes
    """The members from `actor` to `credential`."""


class Secret(NamedTuple):
    """What is read and written."""

    id: str
    encoded: bytes
    """The member `resource`."""
    fields: bytes
    """The member `fields` of an answer that has it."""
    path: bytes


class Population:
    """Who calls, and what for."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.callers = [self._caller(number) for number in range(CALLERS)]
        self.secrets = [self._secret(number) for number in range(SECRETS)]
        self.kept: list[tuple[str, str]] = []
        """Some of the request and trace ids that were used."""

    def drafts(self, began: int, ends: int, count: int) -> Iterator[tuple[int, Draft]]:
        """Yield so many records with the times at which they are made, spread over a time."""
        step = (ends - began) / count
        made = 0
        while made < count:
            for draft in self._request():
                yield round(began + step * (made + self._random.random())), draft
                made += 1
                if made == count:
                    return

    def _request(self) -> Iterator[Draft]:
        """Yield the records of one request."""
        chance = self._random.random
        caller, secret = (
            self.callers[int(CALLERS * chance() ** 3)],
            self.secrets[int(SECRETS * chance() ** 3)],
        )
        request, trace = self._uuid(), f"{self._random.getrandbits(128):032x}" if chance() < 0.6 else ""
        if chance() < 0.001:
            self.kept.append((request, trace))
        said = _Said(caller, secret, request, trace)
        kind = chance()
        if kind < 0.72:
            yield self._draft(said, "kv.read", answered=True)
        elif kind < 0.8:
            yield self._draft(said, "kv.list")
        elif kind < 0.9:
            yield self._draft(said, "kv.write", phase="attempt")
            yield self._draft(said, "kv.write")
        elif kind < 0.97:
            yield self._draft(said, "auth.login", phase="attempt", resource="auth")
            yield self._draft(said, "auth.login", resource="auth")
        elif kind < 0.99:
            yield self._draft(said, "token.renew", phase="attempt", resource="token")
            yield self._draft(said, "token.renew", resource="token")
        else:
            yield self._draft(said, "log.query", resource="log")

    def _draft(
        self, said: "_Said", event: str, *, phase: str = "outcome", resource: str = "", answered: bool = False
    ) -> Draft:
        chance = self._random.random()
        outcome = (
            ""
            if phase == "attempt"
            else "denied"
            if chance < 0.02
            else "failed"
            if chance < 0.025
            else "success"
        )
        fields = said.secret.fields if answered and outcome == "success" else b""
        policy = (
            b'"policy":{"reason":"no rule allows it"},'
            if outcome == "denied"
            else b'"policy":{"grant":[{"policy":"team-%d","rule":"kv/data/team-%d/*"}]},'
            % (said.caller.team, said.caller.team)
        )
        frame = Frame(
            opening=b"".join(
                (
                    b"{%b%b" % (said.caller.encoded, _ERRORS.get(outcome, b"")),
                    b'"event_name":"esa.%b",%b' % (event.encode(), fields),
                    b'"http.request.method":"%b",' % (b"GET" if answered else b"POST"),
                )
            ),
            decision=b"".join(
                (
                    b'"outcome":"%b",' % outcome.encode() if outcome else b"",
                    b'"phase":"%b",' % phase.encode(),
                    policy,
                    b'"prev_hash":"',
                )
            ),
            resource=b"".join(
                (
                    b'"resource":{"id":"%b/","type":"%b"},' % (resource.encode(), resource.encode())
                    if resource
                    else said.secret.encoded,
                    b'"schema":"https://coffre.eu/schemas/log/v1","seq":',
                )
            ),
            status=b"".join(
                (
                    b'"status_code":%d,' % _STATUS[outcome] if outcome else b"",
                    b'"tenant":"%b","tenant_prev_hash":"' % said.caller.tenant.encode(),
                )
            ),
            closing=b',"url.path":"%b"}' % said.secret.path,
            tenant=said.caller.tenant,
        )
        return Draft(
            frame,
            b"2026-11-28T00:00:00.000000000Z",
            b'","request.id":"%b",' % said.request.encode(),
            b'"span_id":"%016x",' % self._random.getrandbits(64) if said.trace else b"",
            b'","trace_id":"%b"' % said.trace.encode() if said.trace else NO_TRACE,
        )

    def _caller(self, number: int) -> Caller:
        actor, accessor = self._uuid(), f"{self._random.getrandbits(120):030x}"
        blocks = ""
        if number % 10 == 0:
            names = ",".join(f'"{self._random.getrandbits(512):0128x}"' for _ in range(1 + number % 4))
            blocks = f'"blocks":[{names}],'
        kind = "biscuit" if blocks else "service"
        address = f"10.{number % 7}.{self._random.randrange(256)}.{self._random.randrange(256)}"
        text = (
            f'"actor":{{"id":"{actor}","type":"entity"}},"client.address":"{address}","client.address_source":"socket",'
            f'"credential":{{"accessor":"{accessor}",{blocks}"bound":"none","kind":"{kind}"}},'
        )
        return Caller(
            actor, accessor, f"t-{number % TENANTS}" if number % 2 else "root", number % 200, text.encode()
        )

    def _secret(self, number: int) -> Secret:
        name = f"team-{number % 200}/service-{number % 1009}/{number:05}"
        names = ",".join(
            f'"$h:k1:{self._base64(43)}=":{{"$h":"k1:{self._base64(43)}="}}' for _ in range(1 + number % 3)
        )
        fields = f'"fields":{{"response":{{"data":{{"data":{{{names}}},"metadata":{{"version":{number % 9}}}}}}}}},'
        return Secret(
            f"kv/{name}",
            f'"resource":{{"id":"kv/{name}","type":"kv.secret"}},'.encode(),
            fields.encode(),
            f"kv/data/{name}".encode(),
        )

    def _uuid(self) -> str:
        text = f"{self._random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def _base64(self, length: int) -> str:
        return "".join(self._random.choices(_B64, k=length))


class _Said(NamedTuple):
    caller: Caller
    secret: Secret
    request: str
    trace: str


_ERRORS: Final = {"denied": b'"error_type":"https://coffre.eu/problems/forbidden",'}
_STATUS: Final = {"success": 200, "denied": 403, "failed": 500}


def write_logs(folder: Path, population: Population, count: int, limits: LogLimits) -> list[Verifier]:
    """Write two logs of a node, with half of the records each and a checkpoint at the end. Return whom they are verified with."""
    private = Ed25519PrivateKey.from_private_bytes(bytes(32))
    verifiers = []
    for number, name in enumerate(_LOGS):
        share = count // 2 + (number * count) % 2
        moment = [BEGAN]
        own = folder / name
        own.mkdir(mode=0o700)
        lock = os.open(own / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        chain = Chain(name, ChainState(), lambda: Nanos(moment[0]))  # noqa: B023 -- of this log
        writer = LogWriter(own, chain, limits, lock)
        writer.begin(0, 0, 0)
        drafts = population.drafts(BEGAN, BEGAN + DAY, share)
        while batch := list(islice(drafts, _AT_ONCE)):
            lines = []
            for moment[0], draft in batch:
                lines.append(chain.append(draft))
            writer.write(b"".join(lines), 0)
        verifier = Verifier(f"perf/{name}", KeyKind.ED25519, private.public_key().public_bytes_raw())
        size, root = chain.root()
        note = sign_checkpoint(
            Checkpoint(origin=verifier.name, size=size, root=root), [Signer(verifier, private.sign)]
        )
        with (own / f"{writer.segment:020}.checkpoints").open("wb") as file:
            file.write(
                b'{"note":%b,"time":"%b"}\n'
                % (json.dumps(note.decode()).encode(), rfc3339_whole(Nanos(moment[0])))
            )
        verifiers.append(verifier)
        writer.close()
    return verifiers
