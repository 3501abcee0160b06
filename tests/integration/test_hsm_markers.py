# SPDX-License-Identifier: EUPL-1.2
"""PINs and keys reach no log, audit record, answer, metric, command line, environment or database (SL-50, SL-51).

The key in the token is one that the test has put there, so that it can be looked for; the root key is unwrapped
afterwards. What is searched comes from a server that opens by its tokens, loses them, meets wrong PINs, is told
nonsense about slots, and is killed.
"""

import asyncio
import base64
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hsm.errands import ImportKek, Place, import_key
from hsm.token import Wanted
from tests.hsm.slots import proc, slot_on
from tests.hsm.tokens import PIN, SOFTHSM
from tests.integration.processes import Running
from tests.integration.two_makers import Makers, agents
from vault.seal import book
from vault.storage.sqlite import SqliteStorage

_WRONG = "wrong-pin-0815"
_AUDIT = 'audit "file" "file" {{\n options {{ file_path = "{path}" }}\n}}\n'


@pytest.fixture
def makers(tmp_path: Path) -> Makers:
    return Makers(tmp_path)


def spellings(secret: bytes) -> Iterator[bytes]:
    """How a secret may be written down."""
    yield secret
    yield secret.hex().encode()
    yield base64.b64encode(secret).rstrip(b"=")
    yield base64.urlsafe_b64encode(secret).rstrip(b"=")
    yield repr(secret).strip("b'\"").encode()


class Sinks:
    """Everything that anybody could have read, by where."""

    def __init__(self, makers: Makers) -> None:
        self._makers = makers
        self.texts: list[tuple[str, bytes]] = []

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask, and keep the answer."""
        status, answer = self._makers.ask(method, path, body)
        self.texts.append((f"answer of {method} {path}", f"{status} {answer}".encode()))
        return answer

    def look_at(self, server: Running) -> None:
        """Keep what the system tells of the server and its agents, and that none of them would leave a core."""
        assert len(agents(server)) >= 1
        for pid in (server.process.pid, *agents(server)):
            for name in ("cmdline", "environ"):
                self.texts.append((f"{name} of {pid}", proc(pid, name).encode()))
            limit = next(line for line in proc(pid, "limits").splitlines() if "core file" in line)
            assert limit.split()[4:6] == ["0", "0"]

    def take(self, server: Running) -> None:
        """Keep what a server that has ended said."""
        self.texts.append(("log", "\n".join(server.lines).encode()))

    def found(self, secrets_by_name: dict[str, bytes]) -> list[str]:
        """Which secrets are where."""
        return [
            f"{name} in {where}"
            for where, text in self.texts
            for name, secret in secrets_by_name.items()
            if any(spelling in text for spelling in spellings(secret))
        ]


def exercise(sinks: Sinks, makers: Makers) -> None:
    """Everything that a client can ask about slots, right and wrong."""
    for name in (*makers.names, "shamir", "nix"):
        for verb in ("", "/verify", "/promote", "/demote", "/rewrap"):
            sinks.ask("POST", f"sys/seal-slots/{name}{verb}", {"pin": "x"})
        sinks.ask("GET", f"sys/seal-slots/{name}/rewrap")
    sinks.ask("POST", "sys/rotate/root", {})
    for path in ("sys/seal-slots", "sys/seal-status", "sys/metrics", "sys/metrics?format=prometheus"):
        sinks.ask("GET", path)
    sinks.ask("DELETE", "sys/seal-slots/shamir")


async def root_key(makers: Makers) -> bytes:
    """The vault's root key, through the first token."""
    storage = SqliteStorage.open(makers.folder / "vault.db")
    slot = slot_on(makers.softhsm, name="softhsm")
    try:
        config = await book.read_config(storage.reader())
        assert config is not None
        return (await book.unwrap_newest(storage.reader(), config, slot)).reveal()
    finally:
        await slot.close()
        await storage.close()


def test_pins_and_keys_are_found_nowhere(makers: Makers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", str(makers.softhsm.configuration))
    kek = secrets.token_bytes(32)
    runtime = str(makers.softhsm.runtime)
    place = Place(lib=SOFTHSM, wanted=Wanted(label="a"), pin=PIN.encode(), runtime=runtime)
    import_key(place, ImportKek("kek", kek), seconds=30)
    audit = makers.folder / "audit.log"
    sinks = Sinks(makers)
    with makers.serving(more=_AUDIT.format(path=audit)) as server:
        makers.initialise()
        exercise(sinks, makers)
        sinks.look_at(server)
        for maker in makers.names:
            makers.unplug(maker, server)
        for maker in makers.names:
            makers.wait_for(maker, up=False)
        exercise(sinks, makers)
        for maker in makers.names:
            makers.plug(maker)
            makers.wait_for(maker, up=True)
        server.process.kill()
        server.process.wait()
    sinks.take(server)
    makers.pin_file("nss").chmod(0o600)
    makers.pin_file("nss").write_text(_WRONG)
    with makers.serving(more=_AUDIT.format(path=audit)) as server:
        makers.wait(lambda status: not status["sealed"])
        server.wait_for("a key slot does not work: slot=nss")
        assert "PIN is wrong" in sinks.ask("GET", "sys/seal-slots/nss")["data"]["reason"]
        exercise(sinks, makers)
        sinks.look_at(server)
    sinks.take(server)
    assert "the PIN is wrong" in "\n".join(server.lines)
    sinks.texts.append(("audit", audit.read_bytes()))
    sinks.texts += [(path.name, path.read_bytes()) for path in makers.folder.glob("vault.db*")]
    wanted = {
        "PIN of SoftHSM": PIN.encode(),
        "PIN of NSS": makers.second.pin.encode(),
        "wrong PIN": _WRONG.encode(),
        "key in the token": kek,
        "root key": asyncio.run(root_key(makers)),
    }
    assert sinks.found(wanted) == []
    assert {where for where, text in sinks.texts if b"softhsm" in text} >= {"log", "audit"}
    planted = Sinks(makers)
    planted.texts = [("here", b"x" + spelling) for spelling in spellings(os.urandom(3) + kek)]
    assert planted.found({"key": kek})
