# SPDX-License-Identifier: EUPL-1.2
"""Witnesses without a socket, which judge as ours do or lie, and a log reader that proves what it has."""

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.unit.log.format.signing import ed25519
from tests.unit.log.format.trees import LEAVES, growth
from tests.unit.log.witness.grown import SERVER
from vault.log.witness.client import NoProof, WitnessAway, WitnessReply, WitnessSettings
from vault.log.witness.server.key_file import WitnessKey
from vault.log.witness.server.memory import open_memory
from vault.log.witness.server.verdict import KnownLogs, Witness
from vault.log.witness.submission import PATH, parse_submission

NOW = 1_790_000_000
URL = "https://witness.example/w"


class Answering:
    """A witness of this number. `lie`, if there is one, is given what it would answer, and returns what it does."""

    def __init__(self, folder: Path, number: int = 7) -> None:
        self.key = WitnessKey(f"w.example/{number}", bytes([number]) * 32)
        self.memory = open_memory(folder / f"witness{number}", self.key.verifier, fresh=True)
        self._judge = Witness(self.key, KnownLogs([ed25519(SERVER).verifier]), self.memory, lambda: NOW)
        self.settings = WitnessSettings(name=f"w{number}", url=f"{URL}{number}/", key=self.key.verifier)
        self.olds: list[int] = []
        """The old size of each submission."""
        self.lie: Callable[[WitnessReply], WitnessReply] = lambda honest: honest

    def answer(self, body: bytes) -> WitnessReply:
        """Answer a submission."""
        self.olds.append(parse_submission(body).old)
        honest = self._judge.add_checkpoint(body)
        return self.lie(WitnessReply(honest.status, honest.body))

    def close(self) -> None:
        """Release its files."""
        self.memory.close()


class Network:
    """Where witnesses are asked; those that are not in it do not answer."""

    def __init__(self, *witnesses: Answering) -> None:
        self.witnesses = {one.settings.url.rstrip("/") + PATH: one for one in witnesses}

    async def __call__(self, url: str, body: bytes, authorities: str) -> WitnessReply:
        """See `Post`."""
        assert not authorities
        if url not in self.witnesses:
            raise WitnessAway("connection refused")
        return self.witnesses[url].answer(body)


class Reader:
    """A log reader that has so many of `leaves`, and one more after each question that it can't answer yet."""

    def __init__(self, has: int = 1000, leaves: Sequence[bytes] = LEAVES) -> None:
        self.has, self._leaves = has, leaves
        self.asked: list[tuple[str, int, int]] = []

    async def consistency(self, log: str, old: int, new: int) -> Sequence[bytes]:
        """See `Proofs`."""
        self.asked.append((log, old, new))
        if new > self.has:
            self.has += 1
            raise NoProof("not yet", later=True)
        return growth(old, self._leaves[:new])
