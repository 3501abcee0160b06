# SPDX-License-Identifier: EUPL-1.2
"""A server with two tokens of different makers that can be unplugged; and clients that never stop."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self

from hsm.client.launch import PROGRAM
from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.client.settings import Pkcs11Settings
from hsm.pin import FilePin
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.hsm.tokens_nss import nss_token
from tests.hsm.tokens_opencryptoki import OpenCryptokiToken
from tests.integration.processes import PATIENCE, VAULT, Running, running
from tests.ports import free_port

_PAUSE = 0.01
"""Seconds between two turns of a client: a hundred of them in a second find what fails, and leave the machine to others."""


class Second(Protocol):
    """The token beside SoftHSM's."""

    name: str
    algorithm: str
    """What makes its key."""
    library: Path
    label: str
    parameters: str
    pin: str
    inside: tuple[str, ...]
    """Words that go before a command, so that it runs where the token is."""
    mark: str
    """What tells its agents: a word in the names of the files that they have mapped."""

    def furnish(self, make: Callable[[], None]) -> None:
        """Have `make` make a key in it, or bring the one that it made before."""

    def unplug(self) -> None:
        """Take it away. What is open may work on."""

    def plug(self) -> None:
        """Bring it back."""


class Nss:
    """NSS's softoken. It works on with what it has open."""

    name, algorithm, mark = "nss", "aes+hmac", "libsoftokn3"
    inside: tuple[str, ...] = ()
    _made: ClassVar[dict[str, bytes]] = {}
    """The files of the first one with a key."""

    def __init__(self, folder: Path) -> None:
        self._at, self._away = folder / "nss", folder / "away-nss"
        token = nss_token(self._at, self._made)
        self.library, self.label, self.parameters, self.pin = (
            token.library,
            token.label,
            token.parameters,
            token.pin,
        )

    def furnish(self, make: Callable[[], None]) -> None:
        """Make it where this is the first one of this process: the others are copies."""
        if not self._made:
            make()
            self._made.update((file.name, file.read_bytes()) for file in self._at.iterdir())

    def unplug(self) -> None:
        """Take the folder away."""
        take_away(self._at, self._away)

    def plug(self) -> None:
        """Bring the folder back."""
        put_back(self._away, self._at)


class OpenCryptoki:
    """openCryptoki's soft token. Without its daemon what is open works on, and nothing new opens it."""

    name, algorithm, mark, parameters = "opencryptoki", "aes", "opencryptoki", ""

    def __init__(self, token: OpenCryptokiToken) -> None:
        self._token = token
        self.library, self.label, self.pin, self.inside = (
            token.library,
            token.label,
            token.pin,
            token.inside,
        )

    def furnish(self, make: Callable[[], None]) -> None:
        """Make it."""
        make()

    def unplug(self) -> None:
        """End the daemon."""
        self._token.end_daemon()

    def plug(self) -> None:
        """Start the daemon."""
        self._token.start_daemon()


class Makers:
    """A folder with both tokens, a key in each, a database and a configuration."""

    def __init__(self, folder: Path, second: Second | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.token = ""
        self.softhsm = SoftHsm(folder / "softhsm")
        self.second: Second = second or Nss(folder)
        self.names = ("softhsm", self.second.name)
        for name, pin in zip(self.names, (PIN, self.second.pin), strict=True):
            self.pin_file(name).write_text(pin)
            self.pin_file(name).chmod(0o400)
        self.softhsm.kept("two makers", self._make_first)
        self.second.furnish(partial(self._make_key, self.second.name))

    def pin_file(self, maker: str) -> Path:
        """Where the PIN of a maker's token is."""
        return self.folder / f"pin-{maker}"

    def _make_first(self) -> None:
        self.softhsm.initialise("a")
        self._make_key("softhsm")

    def _make_key(self, name: str) -> None:
        first = name == "softhsm"
        settings = Pkcs11Settings(
            lib=SOFTHSM if first else str(self.second.library),
            library_parameters="" if first else self.second.parameters,
            token_label="a" if first else self.second.label,
            pin=FilePin(self.pin_file(name)),
            key_label="kek",
            timeout=20,
        )
        slot = Pkcs11Slot(
            settings,
            chance=lambda: 0.0,
            directory=self.softhsm.runtime,
            environment=self.softhsm.environment,
            program=PROGRAM if first else (*self.second.inside, *PROGRAM),
        )

        async def make() -> None:
            try:
                await slot.generate_kek("aes" if first else self.second.algorithm)
            finally:
                await slot.close()

        asyncio.run(make())

    def stanza(self, maker: str) -> str:
        """The seal stanza of a maker's token."""
        lib, label, parameters = (
            (SOFTHSM, "a", "")
            if maker == "softhsm"
            else (self.second.library, self.second.label, self.second.parameters)
        )
        return (
            f'seal "pkcs11" {{\n name = "{maker}"\n lib = "{lib}"\n token_label = "{label}"\n key_label = "kek"\n'
            f' library_parameters = "{parameters}"\n pin = "file://{self.pin_file(maker)}"\n timeout = "20s"\n'
            f" priority = {1 + self.names.index(maker)}\n}}\n"
        )

    @contextlib.contextmanager
    def serving(self, policy: str = "", *, more: str = "") -> Iterator[Running]:
        """Start a server that looks at its tokens every second; `policy` is more of `hsm`, `more` other stanzas."""
        configuration = self.folder / "server.hcl"
        configuration.write_text(
            f'storage "sqlite" {{ path = "{self.folder}/vault.db" }}\nlog_level = "trace"\n'
            f'listener "tcp" {{\n address = "127.0.0.1:{self.port}"\n tls_disable = true\n}}\n'
            + "".join(map(self.stanza, self.names))
            + f'hsm {{\n canary_interval = "1s"\n{policy}}}\n'
            + more
        )
        environment = {
            "SOFTHSM2_CONF": str(self.softhsm.configuration),
            "RUNTIME_DIRECTORY": str(self.folder),
        }
        with running(
            f"-config={configuration}",
            home=self.folder,
            environment=environment,
            module=VAULT,
            inside=self.second.inside,
        ) as server:
            yield server

    def unplug(self, maker: str, server: Running | None = None) -> None:
        """Take a token away, and end the agent of `server` that would work on with it."""
        if maker == "softhsm":
            take_away(self.softhsm.tokens, self.folder / "away-softhsm")
            return
        self.second.unplug()
        for pid in agents(server) if server is not None else ():
            with contextlib.suppress(OSError):  # it ended by itself
                if self.second.mark in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8"):
                    os.kill(pid, signal.SIGKILL)

    def plug(self, maker: str) -> None:
        """Bring a token back."""
        if maker == "softhsm":
            put_back(self.folder / "away-softhsm", self.softhsm.tokens)
        else:
            self.second.plug()

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request on a connection of its own."""
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        ) as connection:
            return self.asked(connection, method, path, body)

    def asked(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: object = None
    ) -> tuple[int, Any]:
        """One request with the root token."""
        sent = None if body is None else json.dumps(body)
        connection.request(method, f"/v1/{path}", sent, {"X-Vault-Token": self.token} if self.token else {})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text[:1] == b"{" else text.decode() or None

    def initialise(self) -> None:
        """Make the vault, with a value at `kv/a`."""
        status, made = self.ask("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
        assert status == 200, made
        self.token = made["root_token"]
        assert self.ask("POST", "sys/mounts/kv", {"type": "kv"})[0] == 204
        assert self.ask("POST", "kv/a", {"x": "1"})[0] == 204

    def reads(self) -> bool:
        """Whether what was written at first is there."""
        status, answer = self.ask("GET", "kv/a")
        return status == 200 and answer["data"] == {"x": "1"}

    def wait(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until the seal's status is such, with each slot of it by its name in `slots`."""
        deadline = time.monotonic() + 2 * PATIENCE
        while True:
            status = self.ask("GET", "sys/seal-status")[1]
            status["slots"] = {slot["name"]: slot for slot in status["slots"]}
            if what(status):
                return dict(status)
            assert time.monotonic() < deadline, status
            time.sleep(0.1)

    def wait_for(self, maker: str, *, up: bool) -> None:
        """Wait until a token is seen to work, with the newest root key, or not to work."""

        def seen(status: dict[str, Any]) -> bool:
            slot = status["slots"][maker]
            return bool(slot["up"]) == up and (not up or slot["behind"] == 0)

        self.wait(seen)


def take_away(here: Path, there: Path) -> None:
    """Move a folder, and leave an empty one."""
    here.rename(there)
    here.mkdir(exist_ok=True)  # the module makes it too where it finds nothing


def put_back(there: Path, here: Path) -> None:
    """Put what the module made where it found nothing out of the way; it may make an empty folder once more."""
    here.rename(tempfile.mkdtemp(dir=here.parent))
    there.rename(here)


def agents(server: Running) -> list[int]:
    """The server's agents: its children."""
    found: list[int] = []
    for task in Path(f"/proc/{server.process.pid}/task").iterdir():
        with contextlib.suppress(OSError):  # a thread that has ended since
            found += map(int, (task / "children").read_text().split())
    return found


class Load:
    """Clients that read, write and change root keys until the end, and note every answer that is no success."""

    def __init__(self, makers: Makers) -> None:
        self._makers = makers
        self._stop = threading.Event()
        self.failures: list[object] = []
        self.count = 0
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(4)
        ]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """End, and wait for the last answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join(2 * PATIENCE)

    def goes_on(self, count: int) -> None:
        """Wait until so many more requests were answered."""
        before = self.count
        self._makers.wait(lambda _: self.count > before + count)

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._makers.port, timeout=PATIENCE)
        for turn in range(1 << 30):
            if self._stop.is_set():
                break
            try:
                self._turn(connection, number, turn)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(error)
                return
            self._stop.wait(_PAUSE)
        connection.close()

    def _turn(self, connection: http.client.HTTPConnection, number: int, turn: int) -> None:
        if number == 0:
            self._one(connection, "POST", "sys/rotate/root", {}, 204)
            self._stop.wait(0.2)
            return
        self._one(connection, "POST", f"kv/load-{number}", {"turn": str(turn)}, 204)
        answer = self._one(connection, "GET", f"kv/load-{number}", None, 200)
        if answer is not None and answer["data"] != {"turn": str(turn)}:
            self.failures.append((number, turn, answer))

    def _one(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: object, expected: int
    ) -> Any:
        status, answer = self._makers.asked(connection, method, path, body)
        self.count += 1
        if status != expected:
            self.failures.append((method, path, status, answer))
            return None
        return answer
