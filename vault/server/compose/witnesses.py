# SPDX-License-Identifier: EUPL-1.2
"""The witnesses of this server's log: asked over HTTP as all others are, with proofs of the log reader."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from vault.log.common_log import CommonLog
from vault.log.format.note_key import Verifier
from vault.log.format.tree import BadHash, decode_hash
from vault.log.reader.client import LogReader, LogReaderAway
from vault.log.reader.messages import Consistency, Refused
from vault.log.witness.client import (
    NoProof,
    Witness,
    WitnessAway,
    WitnessReply,
    WitnessSettings,
)
from vault.log.witness.rounds import Witnesses
from vault.log.witness.submission import LARGEST_ANSWER
from vault.outbound.failure import Unreachable
from vault.outbound.fetch import Fetcher, OutboundRequest
from vault.outbound.places import Places
from vault.outbound.tls import LONGEST
from vault.server.compose.groups.ground import Ground
from vault.server.config.settings import WitnessStanza
from vault.server.failure import StartFailure

_SECONDS: Final = 10.0
"""How long one exchange with a witness may take."""
_LATER: Final = frozenset({"uncovered", "busy", "rebuilding"})
"""Refusals of the log reader that end by themselves."""
_HEADERS: Final = {"Content-Type": "text/plain; charset=utf-8", "Accept": "text/plain"}


class OutboundPost:
    """See `vault.log.witness.client.Post`."""

    def __init__(self, fetcher: Fetcher, seconds: float = _SECONDS) -> None:
        self._fetcher, self._seconds = fetcher, seconds

    async def __call__(self, url: str, body: bytes, authorities: str) -> WitnessReply:
        """See `Post`."""
        request = OutboundRequest(
            url,
            method="POST",
            headers=_HEADERS,
            body=body,
            authorities=authorities,
            seconds=self._seconds,
            largest=LARGEST_ANSWER,
        )
        try:
            answer = await self._fetcher.send(request)
        except Unreachable as failure:
            raise WitnessAway(str(failure)) from None
        return WitnessReply(answer.status, answer.body)


class ReaderProofs:
    """See `vault.log.witness.client.Proofs`: of the log reader, which has the tree."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    async def consistency(self, log: str, old: int, new: int) -> Sequence[bytes]:
        """See `Proofs`."""
        try:
            found = await self._reader.consistency(Consistency(log=log, old=old, new=new))
            return [decode_hash(text) for text in found.hashes]
        except LogReaderAway as away:
            raise NoProof(str(away), later=True) from None
        except Refused as refused:
            raise NoProof(refused.refusal.text, later=refused.refusal.kind in _LATER) from None
        except BadHash as bad:
            raise NoProof("the log reader's proof is none") from bad


def make_witnesses(ground: Ground, common: CommonLog, reader: LogReader) -> Witnesses:
    """Return the witnesses that are configured, not asked yet. Raises `StartFailure`."""
    settings = ground.config.log
    post = OutboundPost(Fetcher(Places(ground.config.outbound_allow)))
    proofs = ReaderProofs(reader)
    return Witnesses(
        common.writer.folder,
        [Witness(_settings(one), common.id, post, proofs) for one in settings.witnesses],
        lambda: common.checkpoints.newest,
        quorum=settings.quorum,
        interval=settings.witness_interval,
        clock=ground.clock,
        log=ground.log,
    )


def _settings(stanza: WitnessStanza) -> WitnessSettings:
    authorities = _authorities(stanza) if stanza.tls_ca_file else ""
    key = Verifier.parse(stanza.key)
    return WitnessSettings(name=stanza.name, url=stanza.url, key=key, authorities=authorities)


def _authorities(stanza: WitnessStanza) -> str:
    try:
        with Path(stanza.tls_ca_file).open(encoding="ascii") as file:
            return file.read(LONGEST + 1)
    except (OSError, UnicodeDecodeError) as failure:
        reason = getattr(failure, "strerror", None) or "it is no PEM file"
        raise StartFailure(
            f"witness {stanza.name}: tls_ca_file {stanza.tls_ca_file}: cannot be read: {reason}"
        ) from failure
