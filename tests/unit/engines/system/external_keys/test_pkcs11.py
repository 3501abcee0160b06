# SPDX-License-Identifier: EUPL-1.2
"""The plugin `pkcs11` with agents in memory: which are asked, shared, ended, and how refusals reach the client."""

import asyncio
import contextlib
import re
import threading
from collections.abc import Callable, Coroutine, Mapping
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hsm.client.agent_client import AgentClient
from hsm.client.signers import Mechanism
from hsm.errors import BadConfig, HsmError, KeyMissing, SlotUnavailable
from hsm.operations import ListTokens, Operation, PublicHalf, PublicKey, Sign, TokenInfo
from tests.unit.engines.system.house import House, play
from tests.unit.server.http.test_protocol import INNER, exchange
from vault.engines.system.external_keys.agents import (
    IDLE_SECONDS,
    MOST,
    MOST_KEYS,
    TURNS,
    Agents,
    starter,
)
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.engines.system.external_keys.pkcs11 import Pkcs11Provider
from vault.engines.system.external_keys.pkcs11_config import TokenConfig, TokenKeyConfig, read_key, read_token
from vault.framework.call import NOWHERE, ROOT, Call
from vault.framework.errors import Failed, Malformed, Unavailable, VaultError
from vault.framework.keys.external import PrivateKey

CONFIGS = "sys/external-keys/configs"
MODULES = {"soft": "/usr/lib/soft.so", "hard": "/usr/lib/hard.so"}
PIN = "hunter2"
PATIENCE = 120.0
"""Seconds that a busy machine may take for what these tests wait for."""
HSM = {"lib": "soft", "token_label": "one", "pin": PIN}
KEY = ec.generate_private_key(ec.SECP256R1())
PUBLIC = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
OTHER = (
    ec.generate_private_key(ec.SECP256R1())
    .public_key()
    .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
)


def _information(label: str, serial: str, slot: int) -> TokenInfo:
    return TokenInfo(
        slot=slot,
        label=label,
        serial=serial,
        manufacturer="maker",
        model="model",
        firmware="1.0",
        flags=0,
        mechanisms=(),
        software=True,
    )


def _sign(private: PrivateKey) -> bytes:
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return private.sign(b"x", ec.ECDSA(SHA256()))


class FakeAgent:
    """An agent with one P-256 key pair, `ca`; `failure` is raised instead of the next answers."""

    def __init__(self) -> None:
        self.failure: HsmError | None = None
        self.asked: list[type[Operation]] = []
        self.ended = 0
        self.public = PUBLIC

    def ask_blocking(self, operation: Operation, kind: Any, seconds: float) -> Any:
        assert seconds > 0
        self.asked.append(type(operation))
        if self.failure is not None:
            raise self.failure
        if isinstance(operation, ListTokens):
            return [_information("one", "11", 1), _information("two", "22", 2)]
        if isinstance(operation, PublicKey) and operation.key_label == "ca":
            return PublicHalf(label="ca", key_id=operation.key_id or b"v7", public=self.public)
        if isinstance(operation, Sign):
            assert operation.key_id is not None  # by label alone it might be another one than was described
            assert operation.mechanism == "ECDSA"
            r, s = decode_dss_signature(KEY.sign(operation.data, ec.ECDSA(Prehashed(SHA256()))))
            return r.to_bytes(32) + s.to_bytes(32)
        raise KeyMissing("key other: the token has no such private key")

    def end(self) -> None:
        self.ended += 1


class Shelf:
    """Makes agents and keeps them, by token; and a clock that tests move."""

    def __init__(self) -> None:
        self.made: list[tuple[TokenConfig, FakeAgent]] = []
        self.now = 0.0
        self.agents = Agents(self._start, lambda: self.now)

    def _start(self, token: TokenConfig) -> FakeAgent:
        agent = FakeAgent()
        self.made.append((token, agent))
        return agent


def _play(scenario: Callable[[Pkcs11Provider, Shelf], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        shelf = Shelf()
        await scenario(Pkcs11Provider(MODULES, shelf.agents, deadline=PATIENCE), shelf)

    asyncio.run(run())


def test_a_key_signs_and_tells_which_it_is() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        key = await provider.open("c:k", HSM, {"label": "ca", "id": "0x7631", "mechanism": "ckm-ecdsa"})
        call = Call()
        signature = await key.use(call, _sign)
        assert call.record.external_keys == [key.describe()]
        KEY.public_key().verify(signature, b"x", ec.ECDSA(SHA256()))
        assert key.ref == "c:k"
        assert key.describe() == {
            "ref": "c:k",
            "token_serial": "11",
            "token_label": "one",
            "key_label": "ca",
            "key_id": "v1",
            "public_key_sha256": sha256(PUBLIC).hexdigest(),
        }
        assert len(shelf.made) == 1

    _play(scenario)


def test_a_token_is_told_from_others_by_everything_that_is_given() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        for config, serial in (
            ({"serial": "22"}, "22"),
            ({"slot": "0x2"}, "22"),
            ({"slot": "1"}, "11"),
            ({"serial": "22", "token_label": "two", "slot": "9"}, "22"),
        ):
            key = await provider.open("c:k", {"lib": "soft", "pin": PIN, **config}, {"label": "ca"})
            assert key.describe()["token_serial"] == serial
            assert key.describe()["key_id"] == "v7"
        for config in ({"serial": "22", "token_label": "one"}, {"slot": "3"}):
            with pytest.raises(Unavailable, match="not among the module's tokens"):
                await provider.check_config({"lib": "soft", "pin": PIN, **config})

    _play(scenario)


_FAILURES: list[tuple[HsmError, type[VaultError], type[VaultError]]] = [
    (SlotUnavailable("gone", ckr="DeviceRemoved"), Unavailable, Unavailable),
    (KeyMissing("no key"), Malformed, Failed),
    (BadConfig("no mechanism"), Malformed, Failed),
]


@pytest.mark.parametrize(("failure", "checking", "using"), _FAILURES)
def test_a_token_s_refusals_tell_configuration_from_operation(
    failure: HsmError, checking: type[VaultError], using: type[VaultError]
) -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        key = await provider.open("c:k", HSM, {"label": "ca"})
        shelf.made[0][1].failure = failure
        for attempt in (provider.check_config(HSM), provider.check_key(HSM, {"label": "ca"})):
            with pytest.raises(checking, match=str(failure)):
                await attempt
        with pytest.raises(using, match=str(failure)):
            await key.use(Call(), _sign)

    _play(scenario)


def test_what_goes_wrong_in_the_work_itself_is_not_the_token_s_affair() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        key = await provider.open("c:k", HSM, {"label": "ca"})
        with pytest.raises(ZeroDivisionError):
            await key.use(Call(), lambda _: 1 // 0)

    _play(scenario)


def test_a_key_that_was_found_costs_one_question_until_something_goes_wrong() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        for _ in range(2):
            await (await provider.open("c:k", HSM, {"label": "ca"})).use(Call(), _sign)
        agent = shelf.made[0][1]
        assert agent.asked == [PublicKey, ListTokens, Sign, Sign]
        key = await provider.open("c:k", HSM, {"label": "ca"})
        agent.failure = KeyMissing("gone")
        with pytest.raises(Failed):
            await key.use(Call(), _sign)
        agent.failure = None
        agent.asked.clear()
        await (await provider.open("c:k", HSM, {"label": "ca"})).use(Call(), _sign)
        await provider.check_key(HSM, {"label": "ca"})
        assert agent.asked == [PublicKey, ListTokens, Sign, PublicKey, ListTokens]

    _play(scenario)


def test_not_all_keys_of_a_token_are_remembered() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        for number in range(MOST_KEYS + 1):
            await provider.open("c:k", HSM, {"label": "ca", "id": f"{number:04x}"})
        with shelf.agents.using(read_token(HSM, MODULES)) as opened:
            assert len(opened.keys) == 1

    _play(scenario)


def test_configs_share_an_agent_only_with_the_same_pin() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        for config in (HSM, HSM, {**HSM, "pin": "other"}, {**HSM, "lib": "hard"}, HSM):
            await provider.check_config(config)
        assert [(token.lib, token.pin) for token, _ in shelf.made] == [
            ("/usr/lib/soft.so", b"hunter2"),
            ("/usr/lib/soft.so", b"other"),
            ("/usr/lib/hard.so", b"hunter2"),
        ]

    _play(scenario)


def test_the_agent_used_longest_ago_makes_room() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        for number in range(MOST):
            await provider.check_config({**HSM, "pin": str(number)})
        await provider.check_config({**HSM, "pin": "0"})
        await provider.check_config({**HSM, "pin": "new"})
        assert [token.pin for token, agent in shelf.made if agent.ended] == [b"1"]

    _play(scenario)


def test_a_token_that_is_in_use_makes_room_for_nobody() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        key = await provider.open("c:k", {**HSM, "pin": "busy"}, {"label": "ca"})
        begun, release = threading.Event(), threading.Event()

        def slow(private: PrivateKey) -> bytes:
            begun.set()
            release.wait(120)
            return _sign(private)

        use = asyncio.ensure_future(key.use(Call(), slow))
        assert await asyncio.to_thread(begun.wait, 60)
        for number in range(MOST):
            await provider.check_config({**HSM, "pin": str(number)})
        shelf.now += IDLE_SECONDS
        shelf.agents.end_idle()
        assert {token.pin for token, agent in shelf.made if not agent.ended} == {b"busy"}
        release.set()
        assert await use
        shelf.now += IDLE_SECONDS
        shelf.agents.end_idle()
        assert all(agent.ended for _, agent in shelf.made)

    _play(scenario)


def test_a_token_that_hangs_keeps_no_other_from_signing_and_nobody_waiting_for_ever() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        hung = await provider.open("c:one", HSM, {"label": "ca"})
        hurried = Pkcs11Provider(MODULES, shelf.agents, deadline=0.1)
        late = await hurried.open("c:one", HSM, {"label": "ca"})  # at once: the agents know this key
        other = await provider.open("c:two", {**HSM, "token_label": "two"}, {"label": "ca"})
        hold = threading.Event()

        def hang(private: PrivateKey) -> bytes:
            hold.wait(120)
            return b""

        waiting = [asyncio.create_task(hung.use(Call(), hang)) for _ in range(4 * TURNS)]
        await asyncio.sleep(0)
        try:
            for _ in range(3):
                async with asyncio.timeout(60):
                    assert await other.use(Call(), _sign)
            assert not any(task.done() for task in waiting)
            with pytest.raises(Unavailable, match="did not answer in time"):
                await late.use(Call(), _sign)
        finally:
            hold.set()
        assert await asyncio.gather(*waiting) == [b""] * len(waiting)
        assert await hung.use(Call(), _sign)

    _play(scenario)


def test_while_all_tokens_are_in_use_no_other_is_opened() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        tokens = [read_token({**HSM, "pin": str(number)}, MODULES) for number in range(MOST)]
        with contextlib.ExitStack() as all_of_them:
            for token in tokens:
                all_of_them.enter_context(shelf.agents.using(token))
            with pytest.raises(Unavailable, match="8 tokens are in use at once"):
                await provider.check_config({**HSM, "pin": "new"})
            with shelf.agents.using(tokens[0]):
                pass
            assert len(shelf.made) == MOST
        await provider.check_config({**HSM, "pin": "new"})
        assert [agent.ended for _, agent in shelf.made].count(1) == 1

    _play(scenario)


def test_a_key_outlives_its_agent_but_is_not_mistaken_for_another() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        key = await provider.open("c:k", HSM, {"label": "ca"})
        other = await provider.open("c:k", {**HSM, "pin": "other"}, {"label": "ca"})
        shelf.now += IDLE_SECONDS
        shelf.agents.end_idle()
        assert await key.use(Call(), _sign)
        assert [agent.ended for _, agent in shelf.made] == [1, 1, 0]
        with shelf.agents.using(read_token({**HSM, "pin": "other"}, MODULES)):
            shelf.made[-1][1].public = OTHER
        with pytest.raises(Failed, match="another key of this name"):
            await other.use(Call(), _sign)

    _play(scenario)


def test_an_idle_agent_ends_and_the_next_use_starts_another() -> None:
    async def scenario(provider: Pkcs11Provider, shelf: Shelf) -> None:
        await provider.check_config(HSM)
        shelf.now += 1
        await provider.check_config({**HSM, "pin": "other"})
        shelf.now += IDLE_SECONDS - 1
        shelf.agents.end_idle()
        assert [agent.ended for _, agent in shelf.made] == [1, 0]
        await provider.check_config(HSM)
        assert [agent.ended for _, agent in shelf.made] == [1, 0, 0]
        shelf.now += IDLE_SECONDS
        shelf.agents.end_idle()
        assert [agent.ended for _, agent in shelf.made] == [1, 1, 1]

    _play(scenario)


def test_an_agent_starts_when_it_is_first_asked() -> None:
    start = starter({"RUNTIME_DIRECTORY": "/run/x"}, now=lambda: 0.0, chance=lambda: 0.0)
    client = start(read_token(HSM, MODULES))
    assert isinstance(client, AgentClient)
    assert client.pid is None
    client.end()


def test_a_config_that_names_its_token_wrongly_is_not_stored() -> None:
    async def scenario() -> None:
        house = House()
        shelf = Shelf()
        engine = ExternalKeyEngine(house.barrier, {"pkcs11": Pkcs11Provider(MODULES, shelf.agents)})
        await house.open(engine)
        answer = await house("POST", f"{CONFIGS}/c", {"plugin": "pkcs11", **HSM, "token_label": "three"})
        assert (answer.status, answer.error) == (500, "token three: is not among the module's tokens")
        assert (await house("POST", f"{CONFIGS}/c", {"plugin": "pkcs11", **HSM})).status == 204
        assert (await house("POST", f"{CONFIGS}/c/keys/k", {"label": "ca"})).status == 204
        assert (await house("POST", f"{CONFIGS}/c/keys/k/grants/pki")).status == 204
        assert (await house("GET", f"{CONFIGS}/c")).data["pin"] == "(redacted)"
        key = await engine.find(ROOT, replace(NOWHERE, path="pki/"), "c:k")
        assert key.describe()["token_serial"] == "11"

    play(scenario)


_CONFIGS: list[tuple[Mapping[str, Any], str]] = [
    ({}, "missing required parameter 'lib'"),
    ({"lib": "soft", "slot": "1"}, "missing required parameter 'pin'"),
    ({"lib": "soft", "pin": PIN}, "one of 'slot', 'serial' and 'token_label' is required"),
    ({**HSM, "lib": "/usr/lib/soft.so"}, "parameter 'lib' must be an alias .*: hard, soft"),
    ({**HSM, "slot": "first"}, "parameter 'slot' must be a number"),
    ({**HSM, "slot": str(1 << 64)}, "parameter 'slot' must fit 64 bits"),
    ({**HSM, "pin": 1234}, "parameter 'pin' must be a string"),
    ({**HSM, "pin": "p" * 256}, "parameter 'pin' must have at most 255 characters"),
    ({**HSM, "pin": "file:///etc/shadow"}, "parameter 'pin' must be the PIN itself"),
    ({**HSM, "pin": "env://BAO_HSM_PIN"}, "parameter 'pin' must be the PIN itself"),
    ({**HSM, "key_name": "k", "a": "b"}, "'config' has invalid keys; it has "),
]


@pytest.mark.parametrize(("config", "refusal"), _CONFIGS)
def test_a_config_is_refused_by_the_field_that_is_wrong(config: Mapping[str, Any], refusal: str) -> None:
    with pytest.raises(Malformed, match=refusal) as caught:
        read_token(config, MODULES)
    assert PIN not in str(caught.value)


def test_without_aliases_there_is_no_module() -> None:
    with pytest.raises(Malformed, match="none is set"):
        read_token(HSM, {})


def test_a_config_is_read_as_openbao_s_plugin_has_it() -> None:
    given = {**HSM, "slot": "0x2000000000000001", "serial": None, "disable_software_encryption": False}
    token = read_token(given, MODULES)
    assert token == TokenConfig(
        lib="/usr/lib/soft.so", slot=0x2000000000000001, serial="", label="one", pin=b"hunter2"
    )
    assert PIN not in repr(token)


_PAIRS: list[tuple[Mapping[str, Any], TokenKeyConfig]] = [
    ({"label": "a"}, TokenKeyConfig(label="a", key_id=None, mechanism=None)),
    ({"id": "0x7631", "rsa_oaep_hash": "sha256"}, TokenKeyConfig(label="", key_id=b"v1", mechanism=None)),
    ({"label": "a", "id": "7631"}, TokenKeyConfig(label="a", key_id=b"v1", mechanism=None)),
    *(
        ({"label": "a", "mechanism": text}, TokenKeyConfig(label="a", key_id=None, mechanism=mechanism))
        for text, mechanism in (
            ("CKM_ECDSA", Mechanism.ECDSA),
            ("ecdsa", Mechanism.ECDSA),
            ("0x1041", Mechanism.ECDSA),
            ("4161", Mechanism.ECDSA),
            ("rsa-pkcs-pss", Mechanism.RSA_PKCS_PSS),
            ("0x000D", Mechanism.RSA_PKCS_PSS),
            ("ckm-rsa-pkcs", Mechanism.RSA_PKCS),
            ("CKM_EDDSA", Mechanism.EDDSA),
        )
    ),
]


@pytest.mark.parametrize(("key", "pair"), _PAIRS)
def test_a_key_is_read_as_openbao_s_plugin_has_it(key: Mapping[str, Any], pair: TokenKeyConfig) -> None:
    assert read_key(key) == pair


_KEYS: list[tuple[Mapping[str, Any], str]] = [
    ({}, "one of 'label' and 'id' is required"),
    ({"label": "", "id": ""}, "one of 'label' and 'id' is required"),
    ({"id": "0x763"}, "parameter 'id' must be an even number"),
    ({"id": "key"}, "parameter 'id' must be an even number"),
    ({"label": 1}, "parameter 'label' must be a string"),
    (
        {"label": "a", "mechanism": "des3-cbc"},
        "must be one of ECDSA, EDDSA, RSA_PKCS, RSA_PKCS_PSS, RSA_PKCS_OAEP, AES_GCM",
    ),
    ({"label": "a", "mechanism": "0x1088"}, "must be one of ECDSA"),
    ({"label": "a", "mechanism": "1x"}, "parameter 'mechanism' must be a number"),
    ({"label": "a", "key": "b"}, "'config' has invalid keys; it has "),
]


@pytest.mark.parametrize(("key", "refusal"), _KEYS)
def test_a_key_is_refused_by_the_field_that_is_wrong(key: Mapping[str, Any], refusal: str) -> None:
    with pytest.raises(Malformed, match=refusal):
        read_key(key)


_VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.lists(st.none(), max_size=1)
_GIVEN = st.dictionaries(
    st.sampled_from(["lib", "slot", "serial", "token_label", "pin", "label", "id", "mechanism", "more"]),
    _VALUES
    | st.sampled_from(["soft", "0x1", "0x", "00", "CKM_", "ecdsa", "12"])
    | st.from_regex(r"(?:0x)?[0-9a-fA-F]{0,40}", fullmatch=True),
)


@given(_GIVEN)
def test_whatever_is_given_is_read_or_refused(given_fields: dict[str, Any]) -> None:
    for read in (lambda fields: read_token(fields, MODULES), read_key):
        with contextlib.suppress(Malformed):
            assert read(given_fields) is not None


def test_a_device_is_asked_for_a_read_which_is_begun_outside_any_task() -> None:
    async def scenario(provider: Pkcs11Provider, _: Shelf) -> None:
        async def read(scope: object, receive: object, send: Any) -> None:
            key = await provider.open("c:k", HSM, {"label": "ca"})
            text = b"<%d>" % len(await key.use(Call(), _sign))
            headers = [(b"content-length", b"%d" % len(text))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": text})

        received = await exchange(INNER, until=b">", app=read, patience=PATIENCE)
        assert received.startswith(b"HTTP/1.1 200") and re.search(rb"<\d+>$", received)

    _play(scenario)
