# SPDX-License-Identifier: EUPL-1.2
"""A stanza `seal "pkcs11"`: OpenBao's names and aliases, and what is refused with its name."""

import pytest

from hsm.client.settings import Pkcs11Settings, settings_from
from hsm.errors import BadConfig
from hsm.pin import LiteralPin

LEAST: dict[str, str | int | float | bool] = {
    "lib": "/usr/lib/module.so",
    "token_label": "vault-a",
    "pin": "env://HSM_PIN",
    "key_label": "kek",
}


def _settings(**changed: str | float | bool) -> Pkcs11Settings:
    return settings_from({**LEAST, **changed}, literal_pin=True, environment={})


def test_the_least_that_works() -> None:
    found = _settings()
    assert (found.name, found.priority, found.slot, found.key_id, found.mechanism) == (
        "default",
        1,
        None,
        b"",
        "",
    )
    assert (found.rsa_oaep_hash, found.timeout, found.max_sessions) == ("sha256", 2.0, 4)
    assert not found.force_pin_final_try


def test_aliases_of_openbao() -> None:
    stanza = {"module": "/m.so", "token": "t", "label": "k", "pin": "1234"}
    found = settings_from(stanza, literal_pin=True)
    assert (found.lib, found.token_label, found.key_label) == ("/m.so", "t", "k")
    assert isinstance(found.pin, LiteralPin)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("slot", "2305843009213693953", 2305843009213693953),
        ("slot", "0x10", 16),
        ("slot", 3, 3),
        ("key_id", "0x7630303031", b"v0001"),
        ("key_id", "7630303032", b"v0002"),
        ("key_id", "", b""),
        ("mechanism", "CKM_AES_GCM", "AES_GCM"),
        ("mechanism", "0x1087", "AES_GCM"),
        ("mechanism", "9", "RSA_PKCS_OAEP"),
        ("mechanism", "aes_cbc_hmac", "AES_CBC_HMAC"),
        ("rsa_oaep_hash", "SHA-384", "sha384"),
        ("timeout", "500ms", 0.5),
        ("timeout", 3, 3.0),
        ("timeout", "1m", 60.0),
        ("max_sessions", "16", 16),
        ("priority", "-1", -1),
        ("force_pin_final_try", True, True),
        ("library_parameters", "configdir='sql:x'", "configdir='sql:x'"),
    ],
)
def test_a_value_is_read(key: str, text: str | int, value: object) -> None:
    assert getattr(_settings(**{key: text}), key) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("lib", "relative.so"),
        ("lib", "/usr/lib/pkcs11-spy.so"),
        ("lib", "/usr/lib/PKCS11-SPY.so"),
        ("name", ""),
        ("key_label", ""),
        ("token_label", ""),
        ("slot", "many"),
        ("slot", "0xzz"),
        ("slot", "18446744073709551616"),
        ("slot", "-1"),
        ("key_id", "abc"),
        ("key_id", "0xzz"),
        ("key_id", "76 3"),
        ("mechanism", "AES_ECB"),
        ("mechanism", "0x1085"),
        ("rsa_oaep_hash", "md5"),
        ("timeout", "soon"),
        ("timeout", "0"),
        ("timeout", "301s"),
        ("max_sessions", "0"),
        ("max_sessions", "four"),
        ("force_pin_final_try", "perhaps"),
        ("pin", ""),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(key: str, text: str) -> None:
    with pytest.raises(BadConfig, match=f"{key}"):
        _settings(**{key: text})


def test_a_slot_number_names_a_token_as_a_last_resort() -> None:
    assert _settings(token_label="", slot=0).slot == 0


def test_unknown_and_repeated_keys_are_refused() -> None:
    with pytest.raises(BadConfig, match="disable_software: is not a setting"):
        _settings(disable_software="true")
    with pytest.raises(BadConfig, match="token: is given twice, once as token_label"):
        _settings(token="t")


@pytest.mark.parametrize("missing", ["lib", "pin"])
def test_what_is_missing_is_named(missing: str) -> None:
    stanza = {key: value for key, value in LEAST.items() if key != missing}
    with pytest.raises(BadConfig, match=f"{missing}: is missing"):
        settings_from(stanza, literal_pin=True)


def test_a_literal_pin_is_refused_where_it_must_not_be() -> None:
    with pytest.raises(BadConfig, match="not the PIN itself"):
        settings_from({**LEAST, "pin": "1234"}, literal_pin=False)


def test_settings_show_no_pin() -> None:
    assert "31337" not in repr(_settings(pin="31337"))
