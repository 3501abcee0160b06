# SPDX-License-Identifier: EUPL-1.2
"""The slot on modules of other makers: NSS, which has no AES-GCM for us, and openCryptoki, which locks its PIN."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.serialization import load_der_public_key

from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.client.settings import Pkcs11Settings
from hsm.errors import BadConfig, HsmError, IntegrityError, PinBlocked, SlotUnavailable
from hsm.key_slot import WrappedKey
from hsm.pin import FilePin
from tests.hsm.tokens import PIN, SOFTHSM, SoftHsm
from tests.hsm.tokens_nss import NssToken, new_nss_token
from tests.hsm.tokens_opencryptoki import OpenCryptokiToken, opencryptoki_token
from tests.unit.seal.auto import Machine
from vault.seal.records.slots import Slots

_DEK = bytes(range(32))
_COUNT_LOW, _FINAL_TRY, _LOCKED = 0x10000, 0x20000, 0x40000
_AGENT = (sys.executable, "-P", "-m", "hsm.agent")


def _slot(token: NssToken | OpenCryptokiToken, folder: Path, **changed: object) -> Pkcs11Slot:
    """A slot on the token; `pin` replaces the right one."""
    pin = str(changed.pop("pin", token.pin))
    source = folder / f"pin-{len(list(folder.iterdir()))}"
    source.write_text(pin)
    source.chmod(0o400)
    values: dict[str, object] = {
        "lib": str(token.library),
        "pin": FilePin(source),
        "name": "second",
        "token_label": token.label,
        "key_label": "kek",
        "timeout": 20.0,
        "library_parameters": token.parameters if isinstance(token, NssToken) else "",
        **changed,
    }
    inside = token.inside if isinstance(token, OpenCryptokiToken) else ()
    return Pkcs11Slot(
        Pkcs11Settings(**values),  # type: ignore[arg-type]  # tests give each field its type
        chance=lambda: 0.0,
        directory=folder / "run",
        environment=dict(os.environ),
        program=(*inside, *_AGENT),
    )


@pytest.fixture
def nss(tmp_path: Path) -> NssToken:
    return new_nss_token(tmp_path / "nss")


@pytest.fixture
def opencryptoki(tmp_path: Path) -> Iterator[OpenCryptokiToken]:
    with opencryptoki_token(tmp_path / "ock") as token:
        yield token


def _with(slot: Pkcs11Slot, work: Callable[[Pkcs11Slot], Awaitable[None]]) -> None:
    async def all_of_it() -> None:
        try:
            await work(slot)
        finally:
            await slot.close()

    asyncio.run(all_of_it())


async def _wraps(slot: Pkcs11Slot, way: str) -> None:
    wrapped = await slot.wrap(_DEK)
    assert wrapped.m == way
    assert await slot.unwrap(wrapped) == _DEK
    for part in ("ct", "mac", "iv"):
        value = getattr(wrapped, part)
        if value:
            for changed in (bytes([value[0] ^ 1]) + value[1:], b"\xff" * len(value)):
                parts = {"iv": wrapped.iv, "ct": wrapped.ct, "mac": wrapped.mac, part: changed}
                with pytest.raises(IntegrityError):
                    await slot.unwrap(type(wrapped)(m=wrapped.m, k=wrapped.k, **parts))
    state = await slot.probe()
    assert (state.up, state.software, state.reason) == (True, True, "")


async def _signs(slot: Pkcs11Slot) -> None:
    der = await slot.generate_key_pair("signer", b"v0001", "p256")
    digest = hashes.Hash(hashes.SHA256())
    digest.update(b"data")
    raw = await slot.sign("signer", b"v0001", "ECDSA", digest.finalize())
    numbers = (int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big"))
    public = load_der_public_key(der)
    assert isinstance(public, ec.EllipticCurvePublicKey)
    public.verify(utils.encode_dss_signature(*numbers), b"data", ec.ECDSA(hashes.SHA256()))
    der = await slot.generate_key_pair("rsa", b"v0001", "rsa2048")
    signature = await slot.sign("rsa", b"v0001", "SHA256_RSA_PKCS", b"data")
    other = load_der_public_key(der)
    assert isinstance(other, rsa.RSAPublicKey)
    other.verify(signature, b"data", padding.PKCS1v15(), hashes.SHA256())


def test_nss_without_gcm_says_what_it_needs(nss: NssToken, tmp_path: Path) -> None:
    async def work(slot: Pkcs11Slot) -> None:
        await slot.generate_kek("aes")
        with pytest.raises(BadConfig, match="without AES-GCM it needs a second key"):
            await slot.wrap(_DEK)
        assert not (await slot.probe()).up
        assert len(await slot.random(32)) == 32

    _with(_slot(nss, tmp_path), work)


def test_nss_wraps_with_two_keys_and_keeps_the_keys_of_other_labels(nss: NssToken, tmp_path: Path) -> None:
    async def work(slot: Pkcs11Slot) -> None:
        version = await slot.generate_kek("aes+hmac")
        assert version.authenticated
        await _wraps(slot, "aes-cbc-hmac")
        other = _slot(nss, tmp_path, key_label="other")
        assert (await other.generate_kek("aes+hmac")).version == "v0002"
        await other.close()
        await _wraps(slot, "aes-cbc-hmac")

    _with(_slot(nss, tmp_path), work)


def test_nss_wraps_by_rsa_with_sha256(nss: NssToken, tmp_path: Path) -> None:
    async def work(slot: Pkcs11Slot) -> None:
        assert (await slot.generate_kek("rsa3072")).bits == 3072
        await _wraps(slot, "rsa-oaep-sha256")

    _with(_slot(nss, tmp_path), work)


def test_nss_signs(nss: NssToken, tmp_path: Path) -> None:
    _with(_slot(nss, tmp_path), _signs)


def test_nss_keeps_its_keys_and_tries_a_wrong_pin_once(nss: NssToken, tmp_path: Path) -> None:
    async def make(slot: Pkcs11Slot) -> None:
        await slot.generate_kek("rsa3072")
        wrapped.append(await slot.wrap(_DEK))

    async def again(slot: Pkcs11Slot) -> None:
        assert await slot.unwrap(wrapped[0]) == _DEK

    async def blocked(slot: Pkcs11Slot) -> None:
        for _ in range(2):
            with pytest.raises(PinBlocked):
                await slot.wrap(_DEK)

    wrapped: list[WrappedKey] = []
    _with(_slot(nss, tmp_path), make)
    _with(_slot(nss, tmp_path, pin="wrong-pin"), blocked)
    _with(_slot(nss, tmp_path), again)


def test_opencryptoki_wraps_each_way(opencryptoki: OpenCryptokiToken, tmp_path: Path) -> None:
    async def by_gcm(slot: Pkcs11Slot) -> None:
        await slot.generate_kek("aes+hmac")
        await _wraps(slot, "aes-gcm")

    async def by_two_keys(slot: Pkcs11Slot) -> None:
        await _wraps(slot, "aes-cbc-hmac")

    async def by_rsa(slot: Pkcs11Slot) -> None:
        await slot.generate_kek("rsa3072")
        await _wraps(slot, "rsa-oaep-sha256")

    _with(_slot(opencryptoki, tmp_path), by_gcm)
    _with(_slot(opencryptoki, tmp_path, mechanism="AES_CBC_HMAC"), by_two_keys)
    _with(_slot(opencryptoki, tmp_path, key_label="kek-rsa"), by_rsa)


def test_opencryptoki_signs(opencryptoki: OpenCryptokiToken, tmp_path: Path) -> None:
    _with(_slot(opencryptoki, tmp_path), _signs)


def test_four_workers_with_a_wrong_pin_cost_opencryptoki_one_try(
    opencryptoki: OpenCryptokiToken, tmp_path: Path
) -> None:
    async def all_of_it() -> None:
        for _ in range(2):  # as a supervisor restarts them
            workers = [_slot(opencryptoki, tmp_path, pin="00000000") for _ in range(4)]
            answers = await asyncio.gather(*(_error_of(worker) for worker in workers))
            assert all(isinstance(answer, PinBlocked) for answer in answers)
            await asyncio.gather(*(worker.close() for worker in workers))

    assert not opencryptoki.flags() & (_COUNT_LOW | _FINAL_TRY | _LOCKED)
    asyncio.run(all_of_it())
    flags = opencryptoki.flags()
    assert flags & _COUNT_LOW
    assert not flags & (_FINAL_TRY | _LOCKED)
    assert asyncio.run(_error_of(_slot(opencryptoki, tmp_path))) is None


def test_the_last_try_is_left_to_the_operator(opencryptoki: OpenCryptokiToken, tmp_path: Path) -> None:
    async def try_(pin: str) -> HsmError | None:
        slot = _slot(opencryptoki, tmp_path, pin=pin, key_label="last-try")
        try:
            return await _error_of(slot)
        finally:
            await slot.close()

    for pin in ("11111111", "22222222"):
        assert isinstance(asyncio.run(try_(pin)), PinBlocked)
    assert opencryptoki.flags() & _FINAL_TRY
    error = asyncio.run(try_("33333333"))
    assert isinstance(error, PinBlocked)
    assert "one more wrong PIN locks it, so no login was tried" in str(error)
    assert not opencryptoki.flags() & _LOCKED


def test_opencryptoki_works_on_while_its_daemon_is_gone(
    opencryptoki: OpenCryptokiToken, tmp_path: Path
) -> None:
    async def all_of_it() -> None:
        slot = _slot(opencryptoki, tmp_path)
        await slot.generate_kek("aes")
        wrapped = await slot.wrap(_DEK)
        agent = slot.agent_pid
        opencryptoki.end_daemon()
        for _ in range(3):
            assert await slot.unwrap(wrapped) == _DEK
        assert slot.agent_pid == agent  # another one could not even be started
        late = _slot(opencryptoki, tmp_path)
        with pytest.raises(SlotUnavailable):
            await late.unwrap(wrapped)
        opencryptoki.start_daemon()
        assert await late.unwrap(wrapped) == _DEK
        await asyncio.gather(slot.close(), late.close())

    asyncio.run(all_of_it())


def test_a_vault_opens_by_the_second_maker_when_the_first_is_unplugged(
    softhsm: SoftHsm, nss: NssToken, tmp_path: Path
) -> None:
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "pin").chmod(0o400)

    def slots() -> Slots:
        settings = Pkcs11Settings(
            lib=SOFTHSM, pin=FilePin(tmp_path / "pin"), name="first", token_label="a", key_label="kek"
        )
        first = Pkcs11Slot(
            settings, chance=lambda: 0.0, directory=softhsm.runtime, environment=softhsm.environment
        )
        return Slots(enabled=[first, _slot(nss, tmp_path)])

    async def all_of_it() -> None:
        made = slots()
        for slot, algorithm in zip(made.enabled, ("aes", "rsa3072"), strict=True):
            assert isinstance(slot, Pkcs11Slot)
            await slot.generate_kek(algorithm)
        machine = Machine(made, os.urandom)
        await machine.init()
        await _close(made)
        softhsm.tokens.rename(softhsm.tokens.with_name("away"))
        left = slots()
        restarted = machine.restart(left)
        reasons = await restarted.life.auto_unseal()
        assert reasons is not None
        assert isinstance(reasons["first"], SlotUnavailable)
        assert await restarted.reads()
        await _close(left)

    asyncio.run(all_of_it())


async def _close(slots: Slots) -> None:
    for slot in slots:
        await slot.close()


async def _error_of(slot: Pkcs11Slot) -> HsmError | None:
    try:
        await slot.keys()
    except HsmError as error:
        return error
    return None
