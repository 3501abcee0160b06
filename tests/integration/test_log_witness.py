# SPDX-License-Identifier: EUPL-1.2
"""A server's log with two witnesses, which are processes of others: what is shown, stored and proven, and who is away."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.processes import VAULT, Running, config, refused, running
from tests.integration.test_server_vault import Client
from tests.log.witness import running as witnesses
from tests.ports import free_port
from vault.log.format.note_key import Verifier
from vault.log.format.trust import Trust
from vault.log.format.verify import verify_folder
from vault.log.witness.server.key_file import WitnessKey, write_key
from vault.log.witness.server.memory import open_memory

ORIGIN = "vault.example.eu/log"
PATIENCE = 60.0


class Site:
    """A server, asked as somebody who may read the log."""

    def __init__(self, folder: Path, server: Running, client: Client) -> None:
        self.log, self.server, self.client = folder / "log", server, client

    def status(self) -> dict[str, Any]:
        status, answer = self.client.ask("GET", "sys/log/status")
        assert status == 200, answer
        found: dict[str, Any] = answer["data"]
        return found

    def until(self, so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Ask for the status, which is recorded each time, until something is so."""
        deadline = time.monotonic() + PATIENCE
        while not so(found := self.status()):
            assert time.monotonic() < deadline, found["witnessed"]
            time.sleep(0.2)
        return found

    def told(self, words: str) -> int:
        return sum(words in line for line in self.server.lines)


def _key(folder: Path, number: int) -> WitnessKey:
    """The key of a witness that has seen nothing yet."""
    folder.mkdir()
    key = WitnessKey(f"witness.example.eu/w{number}", bytes([number]) * 32)
    open_memory(folder / "state", key.verifier, fresh=True).close()
    write_key(folder / "key", key)
    return key


@contextmanager
def site(folder: Path, stanzas: str) -> Iterator[Site]:
    """Start a server; it is initialised and unsealed."""
    port = free_port()
    more = f"""
        outbound_allow = ["127.0.0.1"]
        log {{ path = "{folder}/log" origin = "{ORIGIN}" root_reads = true witness_interval = 1 quorum = 2 {stanzas} }}
    """
    flag = config(folder, port, more=more)
    with running(flag, home=folder, module=VAULT) as server, Client(port) as client:
        key, token = folder / "unseal", folder / "token"
        if not key.exists():
            made = client.ask("POST", "sys/init", {"secret_shares": 1, "secret_threshold": 1})[1]
            key.write_text(made["keys"][0])
            token.write_text(made["root_token"])
        assert client.ask("POST", "sys/unseal", {"key": key.read_text()})[0] == 200
        client.token = token.read_text()
        yield Site(folder, server, client)


@pytest.mark.executed
def test_a_log_is_witnessed_and_verified_by_what_witnesses_saw(tmp_path: Path) -> None:
    keys = [_key(tmp_path / f"w{number}", number) for number in (1, 2)]
    ports = [free_port(), free_port()]
    stanzas = "".join(
        f'witness "w{number}" {{\n url = "http://127.0.0.1:{port}"\n key = "{key.verifier.vkey}"\n}}\n'
        for number, port, key in zip((1, 2), ports, keys, strict=True)
    )
    with site(tmp_path, stanzas) as one, ExitStack() as stack:
        found = one.until(
            lambda status: all("refused" in each["trouble"] for each in status["witnessed"]["witnesses"])
        )
        assert (found["witnessed"]["records"], found["witnessed"]["quorum"]) == (-1, 2)
        assert one.told("a witness does not cosign the log's checkpoints") == 2
        log = [
            f"-log={found['keys'][found['log']]}",
            f"-log={found['server_key']}",
        ]
        processes = [
            stack.enter_context(
                witnesses.our_witness(
                    tmp_path / f"w{number}",
                    f"-listen=127.0.0.1:{port}",
                    *log,
                    name=f"witness.example.eu/w{number}",
                )
            )
            for number, port in zip((1, 2), ports, strict=True)
        ]
        found = one.until(lambda status: status["witnessed"]["records"] > 5)
        assert [(each["name"], each["trouble"]) for each in found["witnessed"]["witnesses"]] == [
            ("w1", ""),
            ("w2", ""),
        ]
        assert found["witnessed"]["age"] < PATIENCE
        assert one.told("a witness cosigns the log's checkpoints again") == 2
        processes[0].kill()
        one.until(lambda status: status["witnessed"]["witnesses"][0]["trouble"] != "")
        began = one.status()["witnessed"]
        later = one.until(
            lambda status: status["witnessed"]["witnesses"][1]["records"] > began["witnesses"][1]["records"]
        )
        assert later["witnessed"]["records"] == began["records"]
        stack.enter_context(
            witnesses.our_witness(
                tmp_path / "w1", f"-listen=127.0.0.1:{ports[0]}", *log, name="witness.example.eu/w1"
            )
        )
        met = one.until(lambda status: status["witnessed"]["records"] > later["witnessed"]["records"])
        trust = Trust(
            keys=(Verifier.parse(found["key"]),), witnesses=tuple(key.verifier for key in keys), quorum=2
        )
        report = verify_folder(one.log, trust)
        assert report.faults == ()
        assert report.logs[0].covered >= met["witnessed"]["records"]
    with site(tmp_path, stanzas) as one:
        found = one.status()["witnessed"]
        assert found["records"] >= met["witnessed"]["records"]


def test_a_witness_whose_authorities_cannot_be_read_keeps_the_server_from_starting(tmp_path: Path) -> None:
    key = WitnessKey("w.example/1", b"k" * 32).verifier.vkey
    stanza = f'witness "w" {{\n url = "https://w.example"\n key = "{key}"\n tls_ca_file = "{tmp_path}/gone.pem"\n}}'
    flag = config(tmp_path, free_port(), more=f'log {{ path = "{tmp_path}/log"\n{stanza} }}')
    said = refused(flag, home=tmp_path, module=VAULT)
    assert said == f"witness w: tls_ca_file {tmp_path}/gone.pem: cannot be read: No such file or directory"
