# SPDX-License-Identifier: EUPL-1.2
"""The stanzas `seal` and `hsm`, and the slots that are made of them."""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from hsm.client.pkcs11_slot import Pkcs11Slot
from hsm.errors import SlotUnavailable
from vault.barrier.key import Key
from vault.framework.clock import Clock, Entropy
from vault.seal.static_slot import StaticSlot
from vault.server.config.files import load
from vault.server.config.sanitized import sanitized
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.server.offline.preflight import problems
from vault.server.seals.slots import agents_environment, make_slots, new_slots

BASE = 'storage "inmem" {}\nlistener "tcp" { address = "127.0.0.1:8200" tls_disable = true }\n'
TOKEN = 'lib = "/l.so"\n token_label = "t"\n key_label = "k"\n pin = "file:///run/pin"\n'
KEY = bytes(range(32))


def loaded(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Config:
    file = folder / "server.hcl"
    file.write_text(BASE + text)
    return load([str(file)], environment or {})


def refused(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> str:
    with pytest.raises(StartFailure) as caught:
        loaded(folder, text, environment)
    return str(caught.value)


def test_without_a_stanza_the_seal_is_shares(tmp_path: Path) -> None:
    config = loaded(tmp_path, "")
    assert config.seals == ()
    assert sanitized(config)["seals"] == [{"disabled": False, "type": "shamir"}]
    slots = make_slots(config, Entropy())
    assert (list(slots), slots.shamir, slots.shamir_kept) == ([], "shamir", False)


def test_openbaos_single_unnamed_stanza_is_a_slot_named_default(tmp_path: Path) -> None:
    text = 'seal "pkcs11" { module = "/l.so" token = "t" label = "k" pin = "env://PIN" slot = "0x10" mechanism = "0x1087" }'
    (seal,) = loaded(tmp_path, text).seals
    assert seal.pkcs11 is not None
    assert (seal.name, seal.priority, seal.disabled) == ("default", 1, False)
    assert (seal.pkcs11.lib, seal.pkcs11.slot, seal.pkcs11.mechanism) == ("/l.so", 16, "AES_GCM")


def test_slots_come_in_order_of_priority_and_people_last(tmp_path: Path) -> None:
    text = (
        (
            'seal "shamir" { name = "people" }\n'
            f'seal "pkcs11" {{ name = "b" priority = 2\n {TOKEN} }}\n'
            f'seal "pkcs11" {{ name = "a" priority = 1 disabled = "true"\n {TOKEN} }}\n'
            f'seal "static" {{ name = "c" priority = "3" current_key_id = "1" current_key = "{KEY.hex()}" }}\n'
            "hsm { on_loss = seal_after seal_after = 5m canary_interval = 10 recovery_can_unseal = false }\n"
        )
        .replace("= seal_after seal", '= "seal_after" seal')
        .replace("= 5m", '= "5m"')
    )
    config = loaded(tmp_path, text)
    assert [seal.name for seal in config.seals] == ["a", "b", "c", "people"]
    slots = make_slots(config, Entropy())
    assert [slot.name for slot in slots.enabled] == ["b", "c"]
    assert [slot.name for slot in slots.disabled] == ["a"]
    assert (slots.shamir, slots.shamir_kept, slots.recovery_can_unseal) == ("people", True, False)
    assert [type(slot) for slot in slots] == [Pkcs11Slot, StaticSlot, Pkcs11Slot]
    assert (config.hsm.on_loss, config.hsm.seal_after, config.hsm.canary_interval) == ("seal_after", 300, 10)
    assert [seal["type"] for seal in sanitized(config)["seals"]] == ["pkcs11", "pkcs11", "static", "shamir"]  # type: ignore[attr-defined]  # JSON
    assert any("stands in the configuration file itself" in warning for warning in config.warnings)


def test_variables_go_before_the_file_and_a_pin_stays_in_its_own(tmp_path: Path) -> None:
    environment = {
        "BAO_HSM_LIB": "/other.so",
        "VAULT_HSM_LIB": "/older.so",
        "VAULT_HSM_KEY_LABEL": "other",
        "BAO_HSM_PIN": "1234-secret",
        "BAO_SEAL_TYPE": "pkcs11",
    }
    text = 'seal "pkcs11" { module = "/l.so" token = "t" label = "k" }'
    (seal,) = loaded(tmp_path, text, environment).seals
    assert seal.pkcs11 is not None
    assert (seal.pkcs11.lib, seal.pkcs11.key_label) == ("/other.so", "other")
    assert seal.pkcs11.pin.read().reveal() == b"1234-secret"
    assert "1234" not in repr(seal)
    named = f'seal "pkcs11" {{ name = "a"\n {TOKEN} }}'
    (seal,) = loaded(tmp_path, named, environment).seals
    assert seal.pkcs11 is not None
    assert seal.pkcs11.lib == "/l.so"


def test_variables_alone_make_a_slot(tmp_path: Path) -> None:
    environment = {
        "VAULT_SEAL_TYPE": "pkcs11",
        "BAO_HSM_LIB": "/l.so",
        "BAO_HSM_TOKEN_LABEL": "t",
        "BAO_HSM_KEY_ID": "0x01",
        "BAO_HSM_PIN": "x",
        "BAO_HSM_RSA_OAEP_HASH": "sha384",
        "BAO_HSM_SLOT": "7",
        "BAO_HSM_MECHANISM": "RSA_PKCS_OAEP",
    }
    (seal,) = loaded(tmp_path, "", environment).seals
    assert seal.pkcs11 is not None
    assert (seal.pkcs11.key_id, seal.pkcs11.slot, seal.pkcs11.rsa_oaep_hash) == (b"\1", 7, "sha384")
    assert loaded(tmp_path, "", {"BAO_SEAL_TYPE": "shamir"}).seals == ()
    assert "environment BAO_HSM_…: seal" in refused(tmp_path, "", {"BAO_SEAL_TYPE": "pkcs11"})
    assert 'add seal "static" { … }' in refused(tmp_path, "", {"BAO_SEAL_TYPE": "static"})
    assert "make them agree" in refused(tmp_path, 'seal "shamir" {}', {"BAO_SEAL_TYPE": "pkcs11"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'seal "pkcs11" {{ {TOKEN} token_lable = "x" }}', "unknown setting token_lable in seal; did you mean token_label?"),
        (f'seal "pkcs11" {{ {TOKEN} lib = "/l.so" }}', "lib is set twice"),
        (f'seal "pkcs11" {{ {TOKEN} max_sessions = [1] }}', "max_sessions must be a value"),
        (f'seal "pkcs11" {{ {TOKEN} key_id = "0xabc" }}', "key_id: must be an even number"),
        (f'seal "pkcs11" {{ {TOKEN} disabled = "perhaps" }}', "disabled must be true or false"),
        (f'seal "pkcs11" {{ {TOKEN} name = "Bad Name" }}', "name must be lower-case letters"),
        (f'seal "pkcs11" {{ {TOKEN} }}\nseal "pkcs11" {{ {TOKEN} }}', "another seal has the name default"),
        ('seal "shamir" { shares = 3 }', "unknown setting shares in seal"),
        ('seal "shamir" {}\nseal "shamir" { name = "b" }', "only one seal"),
        ('seal "static" {}', 'seal "static" needs current_key_id'),
        ('seal "static" { current_key_id = "a" }', 'seal "static" needs current_key,'),
        ('seal "static" { current_key_id = "a" current_key = "file:///k" previous_key = "file:///p" }', "go together"),
        ('seal "awskms" {}', "this seal does not exist here; choose one of shamir, pkcs11, static"),
        ('hsm { on_loss = "panic" }', "on_loss must be one of keep, seal_after, seal"),
        ("hsm { on_los = 1 }", "unknown setting on_los in hsm; did you mean on_loss?"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    message = refused(tmp_path, text)
    assert expected in message
    assert "server.hcl:" in message


def test_two_slots_on_one_key_are_told_of(tmp_path: Path) -> None:
    def warned(one: str, other: str) -> bool:
        text = f'seal "pkcs11" {{ name = "a" {one} }}\nseal "pkcs11" {{ name = "b" {other} }}'
        return any(
            "b: is the same key in the same token as a" in told for told in loaded(tmp_path, text).warnings
        )

    assert warned(TOKEN, TOKEN)
    assert not warned(TOKEN, TOKEN + ' token_serial = "2"')
    assert not warned(TOKEN, TOKEN + ' disabled = "true"')


def test_what_has_no_effect_is_told(tmp_path: Path) -> None:
    text = f'seal "pkcs11" {{ {TOKEN} health_check_interval = "10m" }}'
    assert any("health_check_interval has no effect" in text for text in loaded(tmp_path, text).warnings)
    assert any("hsm has no effect" in text for text in loaded(tmp_path, "hsm {}").warnings)
    text = 'seal "pkcs11" { lib = "/l.so" token_label = "t" key_label = "k" pin = "1234" }'
    assert any("the PIN stands in the configuration file" in text for text in loaded(tmp_path, text).warnings)


@pytest.mark.parametrize("form", ["file", "env", "inline"])
def test_a_static_key_comes_from_a_file_a_variable_or_the_stanza(tmp_path: Path, form: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(KEY)
    source = {"file": f"file://{file}", "env": "env://SEAL_KEY", "inline": KEY.hex()}[form]
    text = (
        f'seal "static" {{ current_key_id = "two" current_key = "{source}" '
        f'previous_key_id = "one" previous_key = "{bytes(32).hex()}" }}'
    )
    slots = make_slots(loaded(tmp_path, text), Entropy(), {"SEAL_KEY": KEY.hex()})
    (slot,) = slots.enabled

    async def scenario() -> None:
        other = StaticSlot("static", "two", Key(KEY), random=os.urandom)
        assert await other.unwrap(await slot.wrap(bytes(32))) == bytes(32)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("file:///does/not/exist", "current_key: /does/not/exist cannot be read: No such file"),
        ("env://SEAL_KEY", "current_key: the environment variable SEAL_KEY is not set"),
        ("hunter2hunter2", "current_key: must be 32 bytes"),
    ],
)
def test_a_static_key_that_cannot_be_read_stops_the_start(tmp_path: Path, source: str, expected: str) -> None:
    config = loaded(tmp_path, f'seal "static" {{ current_key_id = "a" current_key = "{source}" }}')
    with pytest.raises(StartFailure, match=expected) as caught:
        make_slots(config, Entropy(), {})
    assert "hunter2" not in str(caught.value)


def test_a_token_has_a_part_in_randomness_unless_that_is_off(tmp_path: Path) -> None:
    for policy, expected in (("off", False), ("prefer", True), ("require", True)):
        text = f'seal "pkcs11" {{ {TOKEN} }}\nhsm {{ entropy = "{policy}" }}'
        slots = make_slots(loaded(tmp_path, text), Entropy())
        assert (slots.draw is not None) is expected
    static = f'seal "static" {{ current_key_id = "a" current_key = "{KEY.hex()}" }}'
    assert make_slots(loaded(tmp_path, static), Entropy()).draw is None


def test_without_any_token_randomness_is_the_machines_own_or_there_is_none(tmp_path: Path) -> None:
    async def scenario() -> None:
        both = "".join(f'seal "pkcs11" {{ name = "{name}"\n {TOKEN} }}\n' for name in ("a", "b"))
        prefer = make_slots(loaded(tmp_path, both), Entropy())
        source = await prefer.source(os.urandom)
        assert len(source(32)) == 32
        assert prefer.fallbacks() == 1
        require = make_slots(loaded(tmp_path, both + 'hsm { entropy = "require" }'), Entropy())
        with pytest.raises(SlotUnavailable, match="entropy: "):
            await require.source(os.urandom)
        for slot in (*prefer, *require):
            await slot.close()

    asyncio.run(scenario())


def test_a_slot_that_is_new_in_the_file_joins_those_that_were_there(tmp_path: Path) -> None:
    first = f'seal "static" {{ current_key_id = "a" current_key = "{KEY.hex()}" }}\n'
    slots = make_slots(loaded(tmp_path, first), Entropy())
    more = (
        first
        + f'seal "pkcs11" {{ name = "b"\n {TOKEN} }}\nseal "pkcs11" {{ name = "c" disabled = true\n {TOKEN} }}'
    )
    made = new_slots(loaded(tmp_path, more + 'seal "shamir" {}'), slots, Entropy())
    assert [slot.name for slot in made] == ["b"]
    slots.join(made)
    assert [slot.name for slot in slots] == ["static", "b"]
    assert new_slots(loaded(tmp_path, more), slots, Entropy()) == []


def test_a_trial_tells_of_a_key_that_a_start_would_not_find(tmp_path: Path) -> None:
    text = 'seal "static" { current_key_id = "a" current_key = "file:///does/not/exist" }'
    assert any("/does/not/exist cannot be read" in line for line in problems(loaded(tmp_path, text), Clock()))
    assert problems(loaded(tmp_path, f'seal "pkcs11" {{ {TOKEN} }}'), Clock()) == []


def test_a_slots_agent_does_not_see_another_slots_secret(tmp_path: Path) -> None:
    text = (
        f'seal "pkcs11" {{ name = "a"\n {TOKEN} }}\n'
        f'seal "pkcs11" {{ name = "b"\n {TOKEN.replace("file:///run/pin", "env://PIN_B")} }}\n'
        'seal "static" { name = "c" current_key_id = "1" current_key = "env://KEY_C" }\n'
    )
    environment = {"PIN_B": "4711", "KEY_C": KEY.hex(), "SOFTHSM2_CONF": "/etc/softhsm2.conf"}
    config = loaded(tmp_path, text, environment)
    assert agents_environment(config, environment) == {"SOFTHSM2_CONF": "/etc/softhsm2.conf"}
