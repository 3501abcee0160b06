# SPDX-License-Identifier: EUPL-1.2
"""A real server with two SoftHSM tokens, and vaults that it begins with."""

import asyncio
import contextlib
import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.hsm.slots import slot_on
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.integration.coffre import BAO
from tests.integration.processes import PATIENCE, VAULT, Running, running
from tests.ports import free_port


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
        self.softhsm.kept("a and b", self._initialise)
        if keyed:
            self.softhsm.kept("a and b with a key each", self._make_keys)

    def _initialise(self) -> None:
        for label in ("a", "b"):
            self.softhsm.initialise(label)

    def _make_keys(self) -> None:
        async def make(label: str) -> None:
            slot = slot_on(self.softhsm, token_label=label, name=f"hsm-{label}")
            try:
                await slot.generate_kek("aes")
            finally:
                await slot.close()

        for label in ("a", "b"):
            asyncio.run(make(label))

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

        It is given the time that a token needs which crashes or is slow: what is wrapped is tried again, once a minute
        at least.
        """
        deadline = time.monotonic() + 2 * PATIENCE
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


_kept: dict[str, tuple[dict[str, bytes], dict[str, Any]]] = {}
"""Vaults that tests begin with, made once in this process: their files, and what a site knows of them."""


def begin(site: Site, name: str, make: Callable[[Site], None]) -> None:
    """Give a site the vault that `make` makes, or a copy of the first of this name."""
    if name not in _kept:
        make(site)
        files = {file.name: file.read_bytes() for file in site.folder.glob("vault.db*")}
        known = ("root", "shares", "waiting", "hashed")
        _kept[name] = files, {one: vars(site)[one] for one in known}
        return
    files, found = _kept[name]
    for file, content in files.items():
        (site.folder / file).touch(mode=0o600)
        (site.folder / file).write_bytes(content)
    vars(site).update(found)


def make(site: Site) -> None:
    """Make a vault of three shares with a value."""
    with site.serving(""):
        keys = site.ask("PUT", "sys/init", {"secret_shares": 3, "secret_threshold": 2})[1]
        site.root, site.shares = keys["root_token"], keys["keys"]
        assert site.opened()
        assert site.ask("POST", "sys/mounts/kv", {"type": "kv"})[0] == 204
        assert site.ask("POST", "kv/a", {"x": "1"})[0] == 204
        assert site.ask("POST", "sys/mounts/nhi", {"type": "nhi"})[0] == 204
        assert site.ask("POST", "nhi/keys", {})[0] == 200
        assert site.ask("POST", "nhi/workloads/w1", {"owner": "o", "ttl": "1h"})[0] == 204
        given = {"workload": "w1", "policies": "default"}
        assert site.ask("POST", "nhi/registrations/r1", given)[0] < 300
        site.remember()


def migrate(site: Site) -> None:
    """Have the token `a` seal it."""
    with site.serving(site.seal("hsm-a")):
        assert site.opened(migrate=True)
