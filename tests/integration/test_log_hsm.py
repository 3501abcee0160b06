# SPDX-License-Identifier: EUPL-1.2
"""Checkpoints of a server's log, signed by a key in a SoftHSM token too: while it answers, hangs, and may not be used."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hsm import pairs
from tests.hsm.tokens import PIN, SoftHsm, delete_keys
from tests.integration.processes import Running
from tests.integration.softhsm import CONFIGS, HSM, hsm_server, token
from tests.integration.test_server_vault import Client
from vault.log.format.checkpoint import parse_checkpoint
from vault.log.format.note import parse_note
from vault.log.format.note_key import KeyKind, Verifier
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder

__all__ = ["token"]

KEY = f"{CONFIGS}/hsm-a/keys/log"
GRANT = f"{KEY}/grants/sys"
PATIENCE = 60.0


class Site:
    """A server with a log, and what it signed."""

    def __init__(self, folder: Path, server: Running, client: Client) -> None:
        self.folder, self.server, self.client = folder / "log", server, client

    def ask(self, method: str, path: str, body: object = None) -> None:
        status, answer = self.client.ask(method, path, body)
        assert status in {200, 204}, (path, answer)

    def lines(self) -> list[int]:
        """Of each checkpoint, oldest first, how many signatures it has."""
        notes = [
            json.loads(line)["note"]
            for path in sorted(self.folder.glob("*/*.checkpoints"))
            for line in path.read_text().splitlines()
        ]
        return [len(parse_note(note.encode()).signatures) for note in notes]

    def newest(self) -> list[bytes]:
        """The newest checkpoint of each worker's log."""
        return [
            str(json.loads(path.read_text().splitlines()[-1])["note"]).encode()
            for path in self.folder.glob("*/*.checkpoints")
        ]

    def until(self, so: Callable[[], bool]) -> None:
        """Have records come until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not so():
            assert time.monotonic() < deadline
            self.client.ask("GET", "auth/token/lookup-self")
            time.sleep(0.1)

    def until_signed(self, *, twice: bool) -> None:
        """Wait for three checkpoints in a row that are signed so."""
        begun = len(self.lines())
        self.until(lambda: self.lines()[begun:][-3:] == [1 + twice] * 3)

    def state(self) -> tuple[str, str]:
        """What the status says of the key in the HSM: its verifier key under this log's name, and what is the matter."""
        data = self.client.ask("GET", "sys/log/status")[1]["data"]
        return data["hsm"]["keys"].get(data["log"], ""), data["hsm"]["trouble"]

    def told(self, words: str) -> int:
        return sum(words in line for line in self.server.lines)


@contextmanager
def site(folder: Path, token: SoftHsm, *, more: str = "") -> Iterator[Site]:
    """Start a server whose log is signed by an external key that is not there yet."""
    log = f'log {{ path = "{folder}/log" origin = "vault.example.eu/log" root_reads = true signing_key = "hsm-a:log" }}'
    with hsm_server(folder, token, more=f"{log}\n{more}") as (server, client):
        yield Site(folder, server, client)


def _agents(server: int) -> list[int]:
    """The processes that have a token open, of a server's children."""
    tasks = Path(f"/proc/{server}/task")
    found = [int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()]
    return [child for child in found if b"hsm.agent" in Path(f"/proc/{child}/cmdline").read_bytes()]


MISSING = "checkpoints of the log have no signature of the key in the HSM"
BACK = "checkpoints of the log have the signature of the key in the HSM again"


def test_the_log_is_signed_by_the_hsm_while_that_answers_and_without_it_while_not(
    tmp_path: Path, token: SoftHsm
) -> None:
    with site(tmp_path, token) as one:
        one.until_signed(twice=False)
        assert (one.told(MISSING), one.told("hsm-a:log") * one.told("does not exist")) == (1, 1)
        one.ask("POST", f"{CONFIGS}/hsm-a", HSM)
        one.ask("POST", KEY, {"label": "p256"})
        one.ask("POST", GRANT)
        one.until_signed(twice=True)
        assert (one.told(MISSING), one.told(BACK)) == (1, 1)
        key, trouble = one.state()
        assert trouble == ""
        (newest,) = one.newest()
        _verify(newest, token, key)
        (agent,) = _agents(one.server.process.pid)
        os.kill(agent, signal.SIGSTOP)
        one.until_signed(twice=False)
        assert one.state()[1] != ""
        os.kill(agent, signal.SIGCONT)
        one.until_signed(twice=True)
        assert (one.told(MISSING), one.told(BACK)) == (2, 2)
        one.ask("DELETE", GRANT)
        one.until_signed(twice=False)
        assert one.told("is missing grant for key") == 1
        one.ask("POST", GRANT)
        one.until_signed(twice=True)
        one.ask("POST", "sys/seal")
        one.until(lambda: one.told("sealed") > 0)
        assert one.lines()[-1] == 2
        assert not any(PIN in line for line in one.server.lines)


def test_two_workers_whose_key_vanishes_from_the_token_sign_without_it(
    tmp_path: Path, token: SoftHsm
) -> None:
    """Each has a log of its own. Nothing is refused, the status tells why, and what was signed before stays verified."""
    with site(tmp_path, token, more="workers = 2") as one:

        def signatures() -> list[int]:
            """How many the last checkpoint of each worker's log has, after a request that either may have taken."""
            with Client(one.client.connection.port, token=one.client.token) as fresh:
                assert fresh.ask("GET", "auth/token/lookup-self")[0] == 200
            return [len(parse_note(note).signatures) for note in one.newest()]

        one.ask("POST", f"{CONFIGS}/hsm-a", HSM)
        one.ask("POST", KEY, {"label": "p256"})
        one.ask("POST", GRANT)
        one.until(lambda: signatures() == [2, 2])
        status = one.client.ask("GET", "sys/log/status")[1]["data"]
        keys = [status["key"], *status["hsm"]["keys"].values()]
        assert len(keys) == 3
        delete_keys("p256", token="a", pin=PIN, environment=token.environment)
        one.until(lambda: signatures() == [1, 1])
        one.until(lambda: one.state()[1] != "")
        assert "p256" in one.state()[1]
    report = verify_folder(one.folder, Trust(keys=tuple(map(Verifier.parse, keys))))
    assert (report.faults, len(report.logs)) == ((), 2)


def _verify(note: bytes, token: SoftHsm, vkey: str) -> None:
    """Verify the signature on P-256 with the token's public key, as the token gives it, and as the status shows it."""
    read = parse_note(note)
    with pairs.agent(token, "a") as client:
        spki = pairs.public(client, "p256")
    key = Verifier(parse_checkpoint(read.text).origin, KeyKind.ECDSA, spki)
    (line,) = [one for one in read.signatures if one.key_id == key.key_id]
    key.verify(read.text.encode(), line.value)
    assert key.vkey == vkey
