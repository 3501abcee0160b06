# SPDX-License-Identifier: EUPL-1.2
"""Roles: what is written becomes what is kept."""

from typing import Any

import pytest

from vault.engines.ssh.forms.params import RoleParams
from vault.engines.ssh.roles.role import OTP, as_texts, listed, role_of
from vault.framework.errors import Malformed


def refused(**fields: Any) -> str:
    with pytest.raises(Malformed) as caught:
        role_of(RoleParams(role="r", **fields))
    return caught.value.message


def test_a_role_of_passwords_has_what_it_needs_and_no_more() -> None:
    role = role_of(
        RoleParams(role="r", key_type="otp", default_user="u", cidr_list="10.0.0.0/8", allowed_extensions="x")
    )
    assert (role.kind, role.port, role.allowed_extensions) == (OTP, 22, "")
    assert refused(key_type="otp") == "missing default user"
    assert "invalid CIDR address" in refused(key_type="otp", default_user="u", cidr_list="hunter2")


def test_what_is_no_role_is_refused() -> None:
    ca = {"key_type": "ca", "allow_user_certificates": True}
    assert refused() == "missing key type"
    assert refused(key_type="x") == "invalid key type"
    assert "no longer supported" in refused(key_type="dynamic")
    assert "must be set to 'true'" in refused(key_type="ca")
    assert "must be one of default, ssh-rsa" in refused(**ca, algorithm_signer="x")
    assert "must be less" in refused(**ca, ttl=2, max_ttl=1)
    assert "4096 characters" in refused(**ca, key_id_format="x" * 4097)
    wrong: list[Any] = ["hunter2", [[1]], {}, 1.5, "9" * 10]
    for size in wrong:
        message = refused(**ca, allowed_user_key_lengths={"rsa": size})
        assert message == "error processing allowed_user_key_lengths: each length must be a whole number"
    assert "at most 256 types" in refused(
        **ca, allowed_user_key_lengths=dict.fromkeys(map(str, range(257)), 1)
    )
    assert "at most 256 lengths" in refused(**ca, allowed_user_key_lengths={"rsa": [1] * 257})
    assert "256 entries" in refused(**ca, default_extensions=dict.fromkeys(map(str, range(257)), ""))


def test_values_become_texts_as_openbao_writes_them() -> None:
    given = {"c": None, "a": [1, "x", [True]], "b": {"z": 1, "a": False}, "d": 1.5, "e": ""}
    texts = {"a": "[1 x [true]]", "b": "map[a:false z:1]", "c": "<nil>", "d": "1.5", "e": ""}
    assert list(as_texts("f", given).items()) == list(texts.items())
    assert as_texts("f", None) == {}


def test_a_text_with_commas_lists_what_is_between_them() -> None:
    assert listed(" a, b c ,,") == ["a", "b c"]
    assert listed("") == []
