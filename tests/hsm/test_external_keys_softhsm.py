# SPDX-License-Identifier: EUPL-1.2
"""`sys/external-keys` with a real token: config, key and grant, then a certificate signed by that key."""

import asyncio
import contextlib
import datetime as dt
import os
import signal
import subprocess
import time
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from msgspec.structs import replace

from hsm.client.agent_client import AgentClient
from hsm.client.pkcs11_slot import Pkcs11Slot
from tests.hsm import pairs
from tests.hsm.slots import slot_on
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.unit.engines.system.house import House
from vault.engines.system.external_keys.agents import IDLE_SECONDS, Agents, starter
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.engines.system.external_keys.pkcs11 import Pkcs11Provider
from vault.framework.call import NOWHERE, ROOT, Call
from vault.framework.clock import Entropy
from vault.framework.errors import Failed, Unavailable
from vault.framework.keys.external import ExternalKey, PrivateKey
from vault.server.compose.external_keys import ALIASES, external_key_providers
from vault.server.config.files import load

CONFIGS = "sys/external-keys/configs"
HSM = {"plugin": "pkcs11", "lib": "soft", "token_label": "a", "pin": PIN}
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root")])
START = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
END = dt.datetime(2090, 1, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """A token with key pairs that other processes made."""
    made = SoftHsm(tmp_path_factory.mktemp("softhsm"))
    made.initialise("a")
    with pairs.agent(made, "a") as client:
        pairs.generate(client, "p256")
    return made


class Vault:
    """A vault with external keys in the token; `clock` decides when agents are idle."""

    def __init__(self, token: SoftHsm) -> None:
        environment = {**token.environment, "RUNTIME_DIRECTORY": str(token.folder)}
        self.clock = 0.0
        start = starter(environment, now=time.monotonic, chance=lambda: 0.5)
        self.agents = Agents(start, lambda: self.clock)
        self.house = House()
        self.engine = ExternalKeyEngine(
            self.house.barrier, {"pkcs11": Pkcs11Provider({"soft": SOFTHSM}, self.agents)}
        )

    async def open(self, *, config: dict[str, Any] = HSM, key: dict[str, Any] | None = None) -> None:
        """Store a config, a key and a grant; each must work."""
        await self.house.open(self.engine)
        requests = (
            ("c", config),
            ("c/keys/k", key or {"label": "p256", "id": "0x7630303031"}),
            ("c/keys/k/grants/pki", None),
        )
        for path, body in requests:
            answer = await self.house("POST", f"{CONFIGS}/{path}", body)
            assert answer.status == 204, answer.text

    async def find(self) -> ExternalKey:
        """Return the key, as an engine mounted at `pki/` would find it."""
        return await self.engine.find(ROOT, replace(NOWHERE, path="pki/"), "c:k")

    @property
    def pid(self) -> int:
        """Process number of the one agent."""
        (client,) = [opened.agent for opened in self.agents._open.values()]
        assert isinstance(client, AgentClient)
        assert client.pid is not None
        return client.pid

    def close(self) -> None:
        """End the agents."""
        self.clock += IDLE_SECONDS
        self.agents.end_idle()


Play = Callable[[Callable[[Vault], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(token: SoftHsm) -> Play:
    """Run a scenario on a vault of its own, and end its agents."""

    def run(scenario: Callable[[Vault], Coroutine[Any, Any, None]]) -> None:
        async def whole() -> None:
            vault = Vault(token)
            try:
                await scenario(vault)
            finally:
                vault.close()

        asyncio.run(whole())

    return run


@pytest.mark.executed
def test_an_agent_sees_nothing_of_what_seals_keep_in_the_environment(token: SoftHsm, tmp_path: Path) -> None:
    file = tmp_path / "server.hcl"
    file.write_text(
        f'storage "inmem" {{}}\nlistener "tcp" {{ tls_disable = true }}\n'
        f'seal "pkcs11" {{ lib = "{SOFTHSM}" token_label = "b" key_label = "k" pin = "env://PIN_OF_SEAL" }}\n'
    )
    environment = {
        **token.environment,
        ALIASES: f"soft={SOFTHSM}",
        "PIN_OF_SEAL": "4711-0815",
        "RUNTIME_DIRECTORY": str(token.folder),
    }
    provider = external_key_providers(Entropy(), load([str(file)], environment), environment)["pkcs11"]

    async def scenario() -> None:
        others = _environments_of_agents()  # of tests before, that are ending
        await provider.check_config({name: value for name, value in HSM.items() if name != "plugin"})
        agents = [seen for process, seen in _environments_of_agents().items() if process not in others]
        assert len(agents) == 1
        assert "SOFTHSM2_CONF" in agents[0]
        assert "PIN_OF_SEAL" not in agents[0]
        assert isinstance(provider, Pkcs11Provider)
        for opened in provider._agents._open.values():
            opened.agent.end()

    asyncio.run(scenario())


def _environments_of_agents() -> dict[str, str]:
    """The environment of each agent that this process started, by its number."""
    return {
        process.name: _read(process / "environ")
        for process in Path("/proc").iterdir()
        if process.name.isdigit()
        and "hsm.agent" in _read(process / "cmdline")
        and f"PPid:\t{os.getpid()}\n" in _read(process / "status")
    }


def _read(path: Path) -> str:
    """A file of a process, or nothing once it has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _certificate(private: PrivateKey) -> x509.Certificate:
    builder = x509.CertificateBuilder(NAME, NAME, private.public_key(), 1, START, END)
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    return builder.add_extension(constraints, critical=True).sign(private, SHA256())


def test_a_granted_key_signs_a_certificate_that_openssl_verifies(play: Play, tmp_path: Path) -> None:
    async def scenario(vault: Vault) -> None:
        await vault.open()
        key = await vault.find()
        certificate = await key.use(Call(), _certificate)
        (tmp_path / "root.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        described = dict(key.describe())
        assert len(described.pop("token_serial")) == 16
        der = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert described.pop("public_key_sha256") == sha256(der).hexdigest()
        assert described == {"ref": "c:k", "token_label": "a", "key_label": "p256", "key_id": "v0001"}

    play(scenario)
    file = str(tmp_path / "root.pem")
    command = ["openssl", "verify", "-check_ss_sig", "-CAfile", file, file]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == f"{file}: OK\n"


@pytest.mark.parametrize("named", [{"label": "p256"}, {"id": "7630303031"}], ids=["label", "id"])
def test_the_audit_log_has_label_and_version_of_a_key_that_is_named_by_one_of_them(
    play: Play, named: dict[str, str]
) -> None:
    async def scenario(vault: Vault) -> None:
        await vault.open(key=named)
        call = Call()
        key = await vault.find()
        await key.use(call, _certificate)
        (used,) = call.record.external_keys
        assert (used["key_label"], used["key_id"]) == ("p256", "v0001")

    play(scenario)


def test_many_sign_at_once(play: Play) -> None:
    async def scenario(vault: Vault) -> None:
        await vault.open()
        key = await vault.find()
        made = await asyncio.gather(*(key.use(Call(), _certificate) for _ in range(40)))
        assert len({certificate.signature for certificate in made}) == 40

    play(scenario)


def test_an_agent_that_died_is_replaced(play: Play) -> None:
    async def scenario(vault: Vault) -> None:
        await vault.open()
        first = vault.pid
        os.kill(first, signal.SIGKILL)
        certificate = await _insist(vault)
        certificate.verify_directly_issued_by(certificate)
        assert vault.pid != first

    play(scenario)


def test_a_token_that_went_away_is_missed_and_found_again(play: Play, token: SoftHsm) -> None:
    async def scenario(vault: Vault) -> None:
        await vault.open()
        (home,) = token.tokens.iterdir()
        away = home.rename(token.folder / "away")
        try:
            vault.close()
            with pytest.raises(Unavailable, match="token with label a: not present; the module shows none"):
                await vault.find()
            answer = await vault.house("POST", f"{CONFIGS}/c", HSM)
            assert answer.status == 500
            assert "not present" in answer.error
        finally:
            away.rename(home)
        await _insist(vault)

    play(scenario)


async def _insist(vault: Vault) -> x509.Certificate:
    """Sign; what was under way when something happened may fail, and what comes after it may not."""
    for _ in range(3):
        with contextlib.suppress(Unavailable):
            return await (await vault.find()).use(Call(), _certificate)
    return await (await vault.find()).use(Call(), _certificate)


def test_a_key_for_another_mechanism_does_not_sign(play: Play) -> None:
    async def scenario(vault: Vault) -> None:
        await vault.open(key={"label": "p256", "mechanism": "CKM_EDDSA"})
        with pytest.raises(Failed, match="key p256 id v0001: is for EDDSA alone, and was asked for ECDSA"):
            await (await vault.find()).use(Call(), _certificate)

    play(scenario)


def test_a_wrong_pin_is_tried_once(play: Play) -> None:
    async def scenario(vault: Vault) -> None:
        await vault.house.open(vault.engine)
        wrong = {**HSM, "pin": "wrong-pin-1"}
        for refusal in ("the PIN is wrong", "was wrong before and is not tried again"):
            for _ in range(2):
                answer = await vault.house("POST", f"{CONFIGS}/c", wrong)
                assert answer.status == 400
                assert refusal in answer.error
                assert "wrong-pin-1" not in answer.error
            vault.close()
        assert (await vault.house("LIST", CONFIGS)).status == 404
        assert (await vault.house("POST", f"{CONFIGS}/c", HSM)).status == 204

    play(scenario)


def test_wrong_pins_of_clients_cost_the_token_of_a_seal_no_try(softhsm: SoftHsm) -> None:
    """The seal is on the same token and has logged in; a client that guesses never reaches it."""

    async def scenario() -> None:
        vault = Vault(softhsm)
        settings = slot_on(softhsm).settings
        seal = Pkcs11Slot(settings, chance=lambda: 0.0, directory=softhsm.folder / "coffre-hsm")
        assert await seal.keys() == []
        await vault.house.open(vault.engine)
        wanted = [*["with another PIN"] * 3, *["3 wrong PINs were given for it"] * 2]
        for number, problem in enumerate(wanted):
            answer = await vault.house("POST", f"{CONFIGS}/c", {**HSM, "pin": f"guess-{number}"})
            assert (answer.status, problem in answer.error) == (400, True), answer.text
        (token,) = [token for token in await seal.list_tokens() if token.label == "a"]
        assert token.words == ()
        await seal.close()
        again = Pkcs11Slot(settings, chance=lambda: 0.0, directory=softhsm.folder / "coffre-hsm")
        assert await again.keys() == []
        await again.close()
        vault.close()

    asyncio.run(scenario())
