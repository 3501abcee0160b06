# SPDX-License-Identifier: EUPL-1.2
"""External keys of the whole server, as a process, on a SoftHSM token: over HTTP, and without a trace of the PIN."""

import contextlib
import os
import signal
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.integration.processes import VAULT, Running, config, refused
from tests.integration.softhsm import CONFIGS, HSM, hsm_server, token
from tests.integration.test_server_vault import Client
from tests.ports import free_port

__all__ = ["token"]


def _server(folder: Path, token: SoftHsm) -> AbstractContextManager[tuple[Running, Client]]:
    """Start a vault with an audit log."""
    audit = f'audit "file" "main" {{ options {{ file_path = "{folder}/audit.log" }} }}'
    return hsm_server(folder, token, more=audit)


def _agents(server: int) -> list[int]:
    """Return the process numbers of a process's children."""
    found: list[int] = []
    for task in Path(f"/proc/{server}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has ended since
            found += map(int, (task / "children").read_text().split())
    return found


def _without_pin(server: int, folder: Path) -> None:
    """Look for the PIN wherever others could read it."""
    for process in (server, *_agents(server)):
        for part in ("cmdline", "environ"):
            with contextlib.suppress(OSError):  # an agent hides from everybody but root, and may end
                assert PIN.encode() not in Path(f"/proc/{process}/{part}").read_bytes()
    for file in (*folder.glob("vault.db*"), folder / "audit.log"):
        assert PIN.encode() not in file.read_bytes(), file


@pytest.mark.executed
def test_configs_keys_and_grants_work_with_a_token_and_survive_a_restart(
    tmp_path: Path, token: SoftHsm
) -> None:
    with _server(tmp_path, token) as (server, client):
        assert client.ask("POST", f"{CONFIGS}/c", HSM)[0] == 204
        status, answer = client.ask("GET", f"{CONFIGS}/c")
        assert (status, answer["data"]) == (200, {**HSM, "pin": "(redacted)"})
        assert client.ask("POST", f"{CONFIGS}/c/keys/k", {"label": "p256"})[0] == 204
        status, answer = client.ask("POST", f"{CONFIGS}/c/keys/none", {"label": "none"})
        assert (status, answer["errors"]) == (400, ["key none: the token has no such private key"])
        assert client.ask("POST", f"{CONFIGS}/c/keys/k/grants/pki")[0] == 204
        _without_pin(server.process.pid, tmp_path)
        assert server.end() == 0
        assert not any(PIN in line for line in server.lines)
    with _server(tmp_path, token) as (server, client):
        assert client.ask("LIST", f"{CONFIGS}/c/keys/k/grants")[1]["data"] == {"keys": ["pki/"]}
        headers = {"label": "p256", "id": "0x7630303031"}
        assert client.ask("POST", f"{CONFIGS}/c/keys/k", headers)[0] == 204
        assert client.ask("GET", f"{CONFIGS}/c/keys/k")[1]["data"] == headers


def test_a_module_is_named_by_an_alias_and_by_nothing_else(tmp_path: Path, token: SoftHsm) -> None:
    with _server(tmp_path, token) as (server, client):
        for lib in (SOFTHSM, "hard", "../soft"):
            status, answer = client.ask("POST", f"{CONFIGS}/c", {**HSM, "lib": lib})
            assert (status, answer["errors"]) == (
                400,
                ["parameter 'lib' must be an alias that the server's operator set: soft"],
            )
        assert _agents(server.process.pid) == []


def test_a_crash_of_the_module_is_no_crash_of_the_server(tmp_path: Path, token: SoftHsm) -> None:
    with _server(tmp_path, token) as (server, client):
        assert client.ask("POST", f"{CONFIGS}/c", HSM)[0] == 204
        (agent,) = _agents(server.process.pid)
        os.kill(agent, signal.SIGSEGV)
        statuses = [client.ask("POST", f"{CONFIGS}/c", HSM)[0] for _ in range(3)]
        assert statuses[-1] == 204
        assert server.process.poll() is None


def test_aliases_that_are_none_are_told_at_the_start(tmp_path: Path) -> None:
    said = refused(
        config(tmp_path, free_port()), home=tmp_path, environment={"BAO_PKCS11_ALIASES": "soft"}, module=VAULT
    )
    assert said == "BAO_PKCS11_ALIASES: soft: must be ALIAS=/PATH/OF/MODULE"


def _stopping(server: int, over: threading.Event) -> None:
    """Stop every agent, and every one that takes its place, until it is over.

    A child that is still the server's own copy is let be: the server waits for it to become a program.
    """
    while not over.wait(0.05):
        for agent in _agents(server):
            with contextlib.suppress(OSError):
                if b"hsm.agent" in Path(f"/proc/{agent}/cmdline").read_bytes():
                    os.kill(agent, signal.SIGSTOP)


def test_while_an_issuers_token_hangs_others_write_and_whoever_waits_for_it_is_answered(
    tmp_path: Path, token: SoftHsm
) -> None:
    with _server(tmp_path, token) as (server, client):
        for path, body in (
            ("sys/mounts/nhi", {"type": "nhi"}),
            ("sys/mounts/kv", {"type": "kv"}),
            (f"{CONFIGS}/c", HSM),
            (f"{CONFIGS}/c/keys/k", {"label": "p256"}),
            (f"{CONFIGS}/c/keys/k/grants/nhi", {}),
            ("nhi/keys", {"external": "c:k"}),
            ("nhi/workloads/w", {"owner": "somebody", "ttl": "24h"}),
            ("nhi/registrations/r", {"workload": "w", "policies": "default"}),
            ("nhi/issue/r", {}),
        ):
            status, answer = client.ask("POST", path, body)
            assert status in {200, 204}, (path, answer)
        over, port = threading.Event(), client.connection.port
        stopper = threading.Thread(target=_stopping, args=(server.process.pid, over))
        answers: list[tuple[int, Any]] = []

        def refused_one() -> bool:
            return any(status != 200 for status, _ in answers)

        def issue() -> None:
            """Until somebody is refused: an agent may answer some before it is stopped."""
            with Client(port) as own:
                own.token = client.token
                while True:
                    answers.append(own.ask("POST", "nhi/issue/r", {}))
                    if refused_one():
                        return

        stopper.start()
        waiting = [threading.Thread(target=issue) for _ in range(12)]
        try:
            for agent in _agents(server.process.pid):
                os.kill(agent, signal.SIGSTOP)
            for thread in waiting:
                thread.start()
            writes = 0
            while not refused_one():
                assert client.ask("POST", "kv/a", {"x": str(writes)})[0] == 204
                assert client.ask("GET", "kv/a")[1]["data"] == {"x": str(writes)}
                writes += 1
            assert writes > 1, "nothing was written before the token's clients were answered"
            for thread in waiting:
                thread.join(120)
            refusals = [answer["errors"][0] for status, answer in answers if status == 500]
            assert refusals
            assert all("agent" in refusal or "in time" in refusal for refusal in refusals)
            assert {status for status, _ in answers} <= {200, 500}
            assert len(answers) >= len(waiting)
        finally:
            over.set()
            stopper.join()
        deadline = time.monotonic() + 120
        while client.ask("POST", "nhi/issue/r", {})[0] != 200:
            assert time.monotonic() < deadline
            time.sleep(0.5)
