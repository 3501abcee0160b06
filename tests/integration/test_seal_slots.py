# SPDX-License-Identifier: EUPL-1.2
"""Real servers with SoftHSM tokens: from shares to one token, to a second one and back, killed at every step."""

import asyncio
import contextlib
import http.client
import itertools
import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.hsm.slots import slot_on
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.integration.coffre import BAO
from tests.integration.processes import PATIENCE, VAULT, Running, running
from tests.integration.two_makers import put_back
from tests.ports import free_port

LOST = (OSError, http.client.HTTPException)
DELAYS = (0.03, 0.0, 0.08, 0.01, 0.2)
"""Seconds after a change was asked for at which the server is killed."""


class Site:
    """A folder with a database, two tokens with a key each unless they are not `keyed`, and a port."""

    def __init__(self, folder: Path, *, keyed: bool = True) -> None:
        self.folder = folder
        self.softhsm = SoftHsm(folder / "softhsm")
        self.port = free_port()
        self.root = ""
        self.shares: list[str] = []
        self.slots_left: set[str] = set()
        self.waiting = ""
        self.tokens: dict[Path, bytes] = {}
        self.hashed = ""
        (folder / "pin").write_text(PIN)
        (folder / "pin").chmod(0o600)
        for label in ("a", "b"):
            self.softhsm.initialise(label)
            if keyed:
                asyncio.run(self._make_key(label))

    async def _make_key(self, label: str) -> None:
        slot = slot_on(self.softhsm, token_label=label, name=f"hsm-{label}")
        try:
            await slot.generate_kek("aes")
        finally:
            await slot.close()

    def seal(self, name: str, *, disabled: bool = False) -> str:
        """Return a seal stanza."""
        return (
            f'seal "pkcs11" {{\n name = "{name}"\n lib = "{SOFTHSM}"\n token_label = "{name[-1]}"\n'
            f' key_label = "kek"\n pin = "file://{self.folder}/pin"\n timeout = "30s"\n'
            f' disabled = "{str(disabled).lower()}"\n}}\n'
        )

    def configure(self, seals: str) -> None:
        """Write the configuration with these seal stanzas."""
        (self.folder / "server.hcl").write_text(
            f'storage "sqlite" {{ path = "{self.folder}/vault.db" }}\n'
            f'audit "file" "file" {{ options {{ file_path = "{self.folder}/audit.log" }} }}\n'
            f'listener "tcp" {{\n address = "127.0.0.1:{self.port}"\n tls_disable = true\n}}\n' + seals
        )

    def restore_tokens(self) -> None:
        """Put back what SoftHSM emptied: it writes its token's file anew at each login, and may be killed just then."""
        for file in self.softhsm.tokens.glob("*/token.object"):
            if file.stat().st_size:
                self.tokens[file] = file.read_bytes()
            else:
                file.write_bytes(self.tokens[file])

    @contextlib.contextmanager
    def serving(self, seals: str) -> Iterator[Running]:
        """Start a server with these seal stanzas."""
        self.configure(seals)
        self.restore_tokens()
        more = {
            "SOFTHSM2_CONF": str(self.softhsm.configuration),
            "RUNTIME_DIRECTORY": str(self.folder),
        }
        arguments = (f"-config={self.folder}/server.hcl",)
        with running(*arguments, home=self.folder, environment=more, module=VAULT) as server:
            yield server

    def ask(self, method: str, path: str, body: object = None, *, wrap: bool = False) -> tuple[int, Any]:
        """One request with the root token; a body that is empty is None. `wrap` has the answer wait under a signed token."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            headers = {"X-Vault-Token": self.root} if self.root else {}
            headers |= {"X-Vault-Wrap-TTL": "24h", "X-Vault-Wrap-Format": "jwt"} if wrap else {}
            sent = None if body is None else json.dumps(body)
            connection.request(method, f"/v1/{path}", sent, headers)
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text else None
        finally:
            connection.close()

    def opened(self, *, migrate: bool = False) -> bool:
        """Whether the vault opens, by itself or with two shares; it is given the time that a token needs."""
        status = self.ask("GET", "sys/seal-status")[1]
        if status["recovery_seal"] and not status["migration"]:
            deadline = time.monotonic() + PATIENCE
            while status["sealed"] and time.monotonic() < deadline:
                time.sleep(0.05)
                status = self.ask("GET", "sys/seal-status")[1]
            return not status["sealed"]
        for share in self.shares[:2]:
            body = {"key": share, "migrate": migrate}
            status, answer = self.ask("PUT", "sys/unseal", body)
            assert status == 200, answer
        return not self.ask("GET", "sys/seal-status")[1]["sealed"]

    def every_slot_opens(self) -> bool:
        """Whether there is a slot, and each token that is one opens the root key in use."""
        slots = self.ask("GET", "sys/seal-slots")[1]["data"]["key_info"]
        self.slots_left = {name for name, slot in slots.items() if slot["stored"]}
        tokens = self.slots_left - {"shamir"}
        answers = [self.changes("POST", f"sys/seal-slots/{name}/verify") for name in tokens]
        return bool(self.slots_left) and set(answers) <= {200}

    def changes(self, method: str, path: str) -> int:
        """Ask for a change and return the status."""
        return self.ask(method, path, {})[0]

    def bao(self, *words: str) -> None:
        """Have the stock client do something."""
        done = self.tried(*words)
        assert done.returncode == 0, done.stdout + done.stderr

    def migrates(self) -> None:
        """Have the stock client give two shares for another seal."""
        for share in self.shares[:2]:
            self.bao("operator", "unseal", "-migrate", share)

    def tried(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Let the stock client try something."""
        environment = {
            "BAO_ADDR": f"http://127.0.0.1:{self.port}",
            "HOME": str(self.folder),
            "PATH": "/usr/bin",
        }
        return subprocess.run([BAO, *words], env=environment, capture_output=True, text=True, check=False)

    def commits(self) -> tuple[int, int]:
        """Return what changes with every commit to the database: where its log ends, and when it was written."""
        with contextlib.suppress(FileNotFoundError):
            found = (self.folder / "vault.db-wal").stat()
            return found.st_size, found.st_mtime_ns
        return 0, 0

    def keep(self) -> None:
        """Keep the database as it is, of a server that does not run."""
        for file in self.folder.glob("vault.db*"):
            shutil.copy2(file, self.folder / f"kept-{file.name}")

    def restore(self) -> None:
        """Go back to what was kept."""
        for file in self.folder.glob("vault.db*"):
            file.unlink()
        for file in self.folder.glob("kept-vault.db*"):
            shutil.copy2(file, self.folder / file.name.removeprefix("kept-"))

    def reads(self) -> bool:
        """Whether what was written at first is there."""
        status, answer = self.ask("GET", "kv/a")
        return status == 200 and answer["data"] == {"x": "1"}

    def remember(self) -> None:
        """Have something signed and something hashed, to be compared with later."""
        self.waiting = self.ask("GET", "kv/a", wrap=True)[1]["wrap_info"]["token"]
        self.hashed = self._hash()

    def keeps(self) -> bool:
        """Whether everything is there that is wrapped for slots.

        The issuer key that was made at first signs; the key that signed a wrapping token at first is known; the key of
        the audit hashes is the same; and people's shares, where they hold any, are still the right ones.

        It is given the time that a token needs which crashes or is slow: what is wrapped is tried again.
        """
        deadline = time.monotonic() + PATIENCE
        while (lacking := self._lacking()) and time.monotonic() < deadline:
            time.sleep(0.2)
        assert not lacking, lacking
        return self._vouched()

    def _lacking(self) -> str:
        """What does not work of all that is wrapped for slots, with the answer; empty for nothing."""
        issued = self.ask("POST", "nhi/issue/r1", {})
        waits = self.ask("POST", "sys/wrapping/lookup", {"token": self.waiting})
        for what, answer in (("issuing", issued), ("the wrapping token", waits)):
            if answer[0] != 200:
                return f"{what}: {answer}"
        return "" if self._hash() == self.hashed else "the audit hash is another one"

    def _hash(self) -> str:
        answer = self.ask("POST", "sys/audit-hash/file", {"input": "x"})[1]
        return str(answer.get("data", {}).get("hash", answer))

    def _vouched(self) -> bool:
        path = "sys/generate-root-token"
        required = self.ask("GET", f"{path}/attempt")[1]["data"]["required"]
        nonce = self.ask("POST", f"{path}/attempt", {})[1]["data"]["nonce"] if required else ""
        given = [
            self.ask("POST", f"{path}/update", {"key": share, "nonce": nonce})
            for share in self.shares[:required]
        ]
        assert all(status == 200 for status, _ in given), given
        return not given or bool(given[-1][1]["data"]["complete"])


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A vault of three shares with a value, not running."""
    made = Site(tmp_path)
    with made.serving(""):
        keys = made.ask("PUT", "sys/init", {"secret_shares": 3, "secret_threshold": 2})[1]
        made.root, made.shares = keys["root_token"], keys["keys"]
        assert made.opened()
        assert made.ask("POST", "sys/mounts/kv", {"type": "kv"})[0] == 204
        assert made.ask("POST", "kv/a", {"x": "1"})[0] == 204
        assert made.ask("POST", "sys/mounts/nhi", {"type": "nhi"})[0] == 204
        assert made.ask("POST", "nhi/keys", {})[0] == 200
        assert made.ask("POST", "nhi/workloads/w1", {"owner": "o", "ttl": "1h"})[0] == 204
        given = {"workload": "w1", "policies": "default"}
        assert made.ask("POST", "nhi/registrations/r1", given)[0] < 300
        made.remember()
    return made


def killed_while(site: Site, server: Running, method: str, path: str, delay: float) -> None:
    """Ask for a change, and kill the server so much later."""

    def ask() -> None:
        with contextlib.suppress(*LOST):
            site.ask(method, path, {})

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(delay)
    server.process.kill()
    server.process.wait(PATIENCE)
    asking.join(PATIENCE)


def killed_at_commit(site: Site, server: Running, number: int, ask: Callable[[], object]) -> bool:
    """Do `ask`, and kill the server right after its `number`th commit from now on; return whether there was one."""
    asking = threading.Thread(target=ask)
    seen, last = 0, site.commits()
    asking.start()
    over = False
    while seen < number and not over:
        over = not asking.is_alive()  # after which one more look sees all that there was
        now = site.commits()
        seen, last = seen + (now != last), now
    server.process.kill()
    server.process.wait(PATIENCE)
    asking.join(PATIENCE)
    return seen >= number


WAY: tuple[tuple[str, str], ...] = (
    ("POST", "sys/seal-slots/hsm-a"),
    ("DELETE", "sys/seal-slots/shamir"),
    ("POST", "sys/seal-slots/hsm-b"),
    ("POST", "sys/rotate/root"),
    ("POST", "sys/seal-slots/hsm-a/rewrap"),
    ("DELETE", "sys/seal-slots/hsm-a"),
    ("POST", "sys/seal-slots/shamir"),
    ("DELETE", "sys/seal-slots/hsm-b"),
)
"""From shares to one token, to a second one, and back to shares."""


@pytest.mark.parametrize(
    "times", [1, pytest.param(5, marks=[pytest.mark.soak, pytest.mark.timeout(900)])], ids=["once", "often"]
)
def test_killed_at_every_step_from_shares_to_two_tokens_and_back_the_vault_opens_with_its_data(
    site: Site, times: int
) -> None:
    seals = site.seal("hsm-a") + site.seal("hsm-b") + 'seal "shamir" {}\n'
    delays = itertools.cycle(DELAYS)
    for method, path in WAY:
        for delay in itertools.islice(delays, times):
            with site.serving(seals) as server:
                assert site.opened()
                killed_while(site, server, method, path, delay)
        with site.serving(seals):
            assert site.opened()
            assert site.reads()
            assert site.keeps()
            assert site.every_slot_opens()
            assert site.changes(method, path) in {200, 204, 400}, path
            assert site.every_slot_opens()
            if path == "sys/seal-slots/hsm-a" and method == "DELETE":
                wish = {"secret_shares": 3, "secret_threshold": 2}
                site.shares = site.ask("POST", "sys/rotate/recovery/init", wish)[1]["data"]["keys"]
    assert site.slots_left == {"shamir"}
    with site.serving(""):
        assert site.opened()
        assert site.reads()
        assert site.keeps()


def test_from_shares_to_a_token_and_to_another_and_back_without_a_pause(site: Site) -> None:
    seals = site.seal("hsm-a") + site.seal("hsm-b") + 'seal "shamir" {}\n'
    with site.serving(seals) as server:
        server.wait_for("software token: no hardware protection", times=2)
        assert site.opened()
        assert site.changes("POST", "sys/seal-slots/hsm-a") == 200
        assert site.changes("POST", "sys/rotate/root") == 204
        server.process.kill()
        server.process.wait(PATIENCE)
    with site.serving(seals) as server:
        assert site.opened()
        assert site.reads()
        server.wait_for("software token: no hardware protection", times=2)
        status = site.ask("GET", "sys/seal-status")[1]
        assert status["type"] == "pkcs11"
        assert [(slot["name"], slot["behind"]) for slot in status["slots"]][:2] == [
            ("shamir", 1),
            ("hsm-a", 0),
        ]
        assert "software token: no hardware protection" in status["warnings"]
        for change in (("POST", "sys/seal-slots/hsm-b"), ("POST", "sys/seal-slots/hsm-b/verify")):
            assert site.changes(*change) == 200, change
        answer = site.ask("DELETE", "sys/seal-slots/shamir", {})[1]
        assert "nobody holds shares of this vault any more" in answer["warnings"][0]
        assert site.changes("DELETE", "sys/seal-slots/hsm-a") in {200, 204}
        assert site.ask("DELETE", "sys/seal-slots/hsm-b", {})[0] == 400
    with site.serving(site.seal("hsm-b")):
        assert site.opened()
        assert site.reads()
        made = site.ask("POST", "sys/rotate/recovery/init", {"secret_shares": 3, "secret_threshold": 2})
        site.shares = made[1]["data"]["keys"]
        assert site.ask("POST", "sys/seal-slots/shamir", {})[0] == 200
        assert site.ask("DELETE", "sys/seal-slots/hsm-b", {})[0] == 204
    with site.serving(""):
        assert site.opened()
        assert site.reads()


def test_a_vault_of_shares_takes_in_a_token_without_a_restart(site: Site) -> None:
    with site.serving("") as server:
        assert site.opened()
        site.configure(site.seal("hsm-a"))
        server.send(signal.SIGHUP)
        server.wait_for("a key slot is configured and can be added")
        server.wait_for("software token: no hardware protection")
        assert site.ask("POST", "sys/seal-slots/hsm-a", {})[0] == 200
        assert site.ask("DELETE", "sys/seal-slots/shamir", {})[0] == 200
        assert site.reads()
        site.configure(site.seal("hsm-b"))
        server.send(signal.SIGHUP)
        server.wait_for("counts until the next start: slot=hsm-a")
        assert server.wait_for("does not open by itself").endswith("slot=hsm-a")
    with site.serving("") as server:
        server.wait_for("does not open by itself")
        server.wait_for("server: started")
        status, answer = site.ask("PUT", "sys/unseal", {"key": site.shares[0]})
        assert (status, "key slots are hsm-a" in answer["errors"][0]) == (400, True)
        (slot,) = site.ask("GET", "sys/seal-status")[1]["slots"]
        assert (slot["name"], slot["up"]) == ("hsm-a", False)
    with site.serving(site.seal("hsm-a")):
        assert site.opened()
        assert site.reads()


def test_openbaos_way_there_and_back(site: Site) -> None:
    with site.serving(site.seal("hsm-a")):
        assert site.ask("GET", "sys/seal-status")[1]["migration"]
        assert site.ask("PUT", "sys/unseal", {"key": site.shares[0]})[0] == 400
        assert site.opened(migrate=True)
        assert site.reads()
    with site.serving(site.seal("hsm-a")):
        assert site.opened()
        assert site.reads()
    with site.serving(site.seal("hsm-a", disabled=True)):
        assert site.opened(migrate=True)
        assert site.reads()
    with site.serving(""):
        assert site.opened()
        assert site.reads()


def test_the_stock_client_migrates_from_shares_to_a_token_to_another_and_back(site: Site) -> None:
    a, b = site.seal("hsm-a"), site.seal("hsm-b")
    a_left, b_left = site.seal("hsm-a", disabled=True), site.seal("hsm-b", disabled=True)
    for seals, after in ((a, a), (a_left + b, b), (b_left, "")):
        with site.serving(seals):
            site.migrates()
            assert site.reads()
        with site.serving(after):
            assert site.opened()
            assert site.reads()


@pytest.mark.parametrize(
    "moments",
    [(1, 2), pytest.param((1, 2, 3, 4, 5), marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
    ids=["some", "all"],
)
def test_killed_at_every_commit_of_the_stock_clients_migrations_the_vault_opens_with_its_data(
    site: Site, moments: tuple[int, ...]
) -> None:
    a, b = site.seal("hsm-a"), site.seal("hsm-b")
    a_left, b_left = site.seal("hsm-a", disabled=True), site.seal("hsm-b", disabled=True)
    for seals, after in ((a, a), (a_left + b, b), (b_left, "")):
        site.keep()
        met = []
        for moment in moments:
            site.restore()
            with site.serving(seals) as server:
                site.bao("operator", "unseal", "-migrate", site.shares[0])
                last = partial(site.tried, "operator", "unseal", "-migrate", site.shares[1])
                met.append(killed_at_commit(site, server, moment, last))
            with site.serving(seals):
                assert site.opened(migrate=site.ask("GET", "sys/seal-status")[1]["migration"])
                assert site.reads()
                assert site.keeps()
                assert site.every_slot_opens()
        assert met[0], "nothing was ever committed: the server was never killed in the middle"
        with site.serving(after):
            assert site.opened()
            assert site.reads()
            assert site.keeps()
    assert site.slots_left == {"shamir"}


def test_a_server_whose_token_is_gone_answers_and_opens_when_it_is_back(site: Site) -> None:
    with site.serving(site.seal("hsm-a")):
        assert site.opened(migrate=True)
    away = site.softhsm.tokens.rename(site.folder / "away")
    site.softhsm.tokens.mkdir()
    with site.serving(site.seal("hsm-a")) as server:
        server.wait_for("not unsealed; it will be tried again")
        status, health = site.ask("GET", "sys/health")
        assert (status, health["sealed"]) == (503, True)
        slots = site.ask("GET", "sys/seal-status")[1]["slots"]
        assert [(slot["name"], slot["up"]) for slot in slots if slot["type"] == "pkcs11"] == [
            ("hsm-a", False)
        ]
        put_back(away, site.softhsm.tokens)
        server.wait_for("vault is unsealed")
        assert site.reads()


def test_with_every_token_gone_the_recovery_shares_open_the_vault(site: Site) -> None:
    with site.serving(site.seal("hsm-a")):
        assert site.opened(migrate=True)
    site.softhsm.tokens.rename(site.folder / "burnt")
    with site.serving(site.seal("hsm-a")):
        for share in site.shares[1:]:
            site.ask("PUT", "sys/unseal", {"key": share})
        assert not site.ask("GET", "sys/seal-status")[1]["sealed"]
        assert site.reads()


def test_of_two_servers_on_one_vault_one_replaces_the_root_key_and_the_other_goes_on(site: Site) -> None:
    with site.serving(site.seal("hsm-a")):
        assert site.opened(migrate=True)
        first, second = site.port, free_port()
        text = (site.folder / "server.hcl").read_text().replace(f":{first}", f":{second}")
        (site.folder / "second.hcl").write_text(text)
        more = {"SOFTHSM2_CONF": str(site.softhsm.configuration), "RUNTIME_DIRECTORY": str(site.folder)}
        arguments = (f"-config={site.folder}/second.hcl",)
        with running(*arguments, home=site.folder, environment=more, module=VAULT) as server:
            server.wait_for("vault is unsealed")
            for port in (first, second):
                site.port = port
                assert site.ask("POST", "sys/rotate/root", {})[0] == 204
            for port in (first, second):
                site.port = port
                assert site.reads()
