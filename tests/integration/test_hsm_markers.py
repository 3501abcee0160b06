# SPDX-License-Identifier: EUPL-1.2
"""PINs and keys reach no log, audit record, answer, metric, command line, environment or database (SL-50, SL-51).

The key in the token is one that the test has put there, so that it can be looked for; the vault's own keys of every
kind are unwrapped afterwards. What is searched comes from a server that opens by its tokens, signs with each of its
keys, loses its tokens, meets wrong PINs, is told nonsense about slots, and is killed.
"""

import asyncio
import base64
import contextlib
import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hsm.client.oneshot import import_key
from hsm.orders import ImportKek, TokenAccess
from hsm.token_info import WantedToken
from tests.hsm.slots import proc, slot_on
from tests.hsm.tokens import PIN, SOFTHSM
from tests.integration.kept_keys import holds, kept_keys
from tests.integration.processes import Running
from tests.integration.two_makers import Makers, agents

pytestmark = pytest.mark.executed

_WRONG = "wrong-pin-0815"
KINDS = (
    "root key",
    "recovery key",
    r"key \d+ of the keyring",
    "audit/salt/",
    "safe/",
    "wrapping/key",
    r"issuer key \d+",
    "key of approver boss",
    "key .+ of identity tokens",
)
"""Patterns of the keys' names."""
_AUDIT = 'audit "file" "file" {{\n options {{ file_path = "{path}" }}\n}}\n'


@pytest.fixture
def makers(tmp_path: Path) -> Makers:
    return Makers(tmp_path)


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
        seen = 0
        for pid in (server.process.pid, *agents(server)):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # an agent may have ended since
                limit = next(line for line in proc(pid, "limits").splitlines() if "core file" in line)
                assert limit.split()[4:6] == ["0", "0"]
                for name in ("cmdline", "environ"):
                    self.texts.append((f"{name} of {pid}", proc(pid, name).encode()))
                seen += 1
        assert seen > 1, "no agent was looked at"

    def take(self, server: Running) -> None:
        """Keep what a server that has ended said."""
        self.texts.append(("log", "\n".join(server.lines).encode()))

    def found(self, secrets_by_name: dict[str, bytes]) -> list[str]:
        """Which secrets are where."""
        return [
            f"{name} in {where}"
            for where, text in self.texts
            for name, secret in secrets_by_name.items()
            if holds(text, secret)
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


def use_keys(sinks: Sinks) -> None:
    """Make keys of every kind that is kept here, and sign with each."""
    for path, body in (
        ("sys/mounts/nhi", {"type": "nhi"}),
        ("nhi/keys", {"algorithm": "ed25519"}),
        ("nhi/keys", {"algorithm": "p256"}),
        ("nhi/workloads/w", {"owner": "o", "ttl": "1h"}),
        ("nhi/registrations/r", {"workload": "w", "policies": "default"}),
        ("nhi/issue/r", {}),
        ("nhi/approvers/boss", {"algorithm": "p256"}),
        ("identity/oidc/key/k", {"algorithm": "ES256", "allowed_client_ids": "*"}),
        ("identity/oidc/role/r", {"key": "k"}),
        ("sys/rotate", {}),
    ):
        sinks.ask("POST", path, body)
    for path in ("nhi/keys", "nhi/public-keys", "nhi/approvers/boss", "identity/oidc/key/k"):
        sinks.ask("GET", path)
    sinks.ask("LIST", "nhi/keys")
    sinks.ask("POST", "sys/wrapping/wrap", {"a": "b"})


async def every_key(makers: Makers, mount: str) -> dict[str, bytes]:
    """The vault's keys, through the first token."""
    slot = slot_on(makers.softhsm, name="softhsm")
    try:
        return await kept_keys(makers.folder / "vault.db", slot, mount)
    finally:
        await slot.close()


def test_pins_and_keys_are_found_nowhere(makers: Makers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", str(makers.softhsm.configuration))
    kek = secrets.token_bytes(32)
    runtime = str(makers.softhsm.runtime)
    place = TokenAccess(lib=SOFTHSM, wanted=WantedToken(label="a"), pin=PIN.encode(), runtime=runtime)
    import_key(place, ImportKek("kek", kek), seconds=30)
    audit = makers.folder / "audit.log"
    sinks = Sinks(makers)
    with makers.serving(more=_AUDIT.format(path=audit)) as server:
        makers.initialise()
        use_keys(sinks)
        mount = makers.ask("GET", "sys/mounts/nhi")[1]["data"]["uuid"]
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
    keys = asyncio.run(every_key(makers, mount))
    wanted = {
        "PIN of SoftHSM": PIN.encode(),
        "PIN of NSS": makers.second.pin.encode(),
        "wrong PIN": _WRONG.encode(),
        "key in the token": kek,
        **keys,
    }
    assert all(any(re.match(kind, name) for name in keys) for kind in KINDS), sorted(keys)
    assert sinks.found(wanted) == []
    assert {where for where, text in sinks.texts if b"softhsm" in text} >= {"log", "audit"}
    for name, secret in wanted.items():
        planted = Sinks(makers)
        planted.texts = [("log", b"x" + base64.b64encode(b"\0" + secret))]
        assert planted.found(wanted) == [f"{name} in log"]


@pytest.mark.parametrize("size", [16, 31, 32, 66])
def test_a_key_is_found_in_every_spelling(size: int) -> None:
    for secret in (secrets.token_bytes(size) for _ in range(20)):
        padded = [bytes(7 + before) + secret + bytes(5) for before in range(3)]
        texts = [base64.encodebytes(one) for one in padded]
        texts += [base64.urlsafe_b64encode(one) for one in padded]
        texts += [f"-----BEGIN PRIVATE KEY-----\n{one.decode()}".encode() for one in texts[:3]]
        texts += [repr(texts[0]).encode(), secret, secret.hex().upper().encode(), secret.hex(":").encode()]
        texts += [repr(list(secret)).encode(), repr(secret).encode(), str({"k": list(secret)}).encode()]
        texts += [str(int.from_bytes(secret, "big")).encode()]
        assert all(holds(b"before " + text + b" after", secret) for text in texts)
        assert not any(holds(text, secrets.token_bytes(size)) for text in texts)


def test_a_private_key_is_found_in_der_and_pem() -> None:
    for key in (ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP521R1())):
        secret = key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8, "big")
        for encoding in (Encoding.DER, Encoding.PEM):
            for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
                assert holds(key.private_bytes(encoding, form, NoEncryption()), secret)
