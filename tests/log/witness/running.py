# SPDX-License-Identifier: EUPL-1.2
"""Witnesses that run as processes: ours, and one that is not ours, of Go's `sumdb/note` and `sumdb/tlog`."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.house.tree import ROOT
from tests.log.written import ORIGIN
from tests.unit.log.format.signing import ed25519
from tests.unit.log.witness.answering import Reader
from tests.unit.log.witness.grown import GrownLog
from vault.log.format.note import Signature
from vault.log.format.note_key import Verifier
from vault.log.witness.client import Witness, WitnessSettings
from vault.log.witness.newest import SignedNow
from vault.outbound.fetch import Fetcher
from vault.outbound.places import Places
from vault.server.compose.witnesses import OutboundPost

NAME = "witness.example.eu/w1"
SECONDS = 60.0
_ENVIRONMENT = {**os.environ, "PYTHONPATH": f"{ROOT / 'cli'}{os.pathsep}{ROOT}"}


class Running:
    """A witness that listens."""

    def __init__(self, process: subprocess.Popen[str], url: str, vkey: str) -> None:
        self.process = process
        self.settings = WitnessSettings(name="w", url=url, key=Verifier.parse(vkey))

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.process.kill()
        self.process.wait(SECONDS)


def command(folder: Path, *flags: str, name: str = NAME) -> list[str]:
    """The command line of our witness, for the logs of one server. `flags` go before those that are here."""
    return [
        *(sys.executable, "-m", "vaultctl", "audit", "witness", f"-key={folder}/key", f"-state={folder}/state"),
        *(f"-name={name}", "-listen=127.0.0.1:0", f"-log={ed25519(ORIGIN).verifier.vkey}", *flags),
    ]  # fmt: skip


@contextmanager
def our_witness(folder: Path, *flags: str, name: str = NAME) -> Iterator[Running]:
    """Start ours, with what it has in a folder."""
    with _process(command(folder, *flags, name=name)) as (process, said):
        vkey, url = (line.split(":", 1)[1].strip() for line in said)
        yield Running(process, url, vkey)


@contextmanager
def other_witness(program: Path, log: GrownLog) -> Iterator[Running]:
    """Start the one that is not ours, for one log."""
    with _process([str(program), "serve", log.signers[0].verifier.vkey]) as (process, said):
        yield Running(process, *said)


@contextmanager
def _process(words: Sequence[str]) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Start a process, and wait for its first two lines."""
    with subprocess.Popen(
        words, env=_ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            said = [process.stdout.readline().strip(), process.stdout.readline().strip()]
            assert all(said), process.stderr.read()
            yield process, said
            process.terminate()
            process.wait(SECONDS)
        finally:
            process.kill()


def asking(settings: WitnessSettings, reader: Reader | None = None) -> Witness:
    """Our side of a witness, over HTTP."""
    post = OutboundPost(Fetcher(Places(["127.0.0.0/8"])))
    return Witness(settings, "0123abcd-0-1", post, reader or Reader(), pause=0)


def ask(one: Witness, log: GrownLog, size: int) -> Signature | None:
    """Ask about one size."""
    asyncio.run(one.ask(SignedNow(checkpoint=log.checkpoint(size), note=log.note(size), segment=0)))
    return one.line(size)
