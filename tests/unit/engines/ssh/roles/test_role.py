# SPDX-License-Identifier: EUPL-1.2
"""Roles: what is written becomes what is kept."""

from typing import Any

import pytest

from vault.engines.ssh.forms.params import RoleParams
from vault.engines.ssh.roles.role import OTP, Role, as_texts, listed, role_of
from vault.framework.errors import Malformed


def written(**fields: Any) -> Role:
    return role_of(RoleParams(role="r", **fields))


def refused(**fields: Any) -> str:
    with pytest.raises(Malformed) as caught:
        written(**fields)
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
    wrong: list[Any] = ["hunter2", [[1]], {}, 1.5, "0x10", 10**25, 2**63, str(2**63), "9" * 5000]
    for size in wrong:
        message = refused(**ca, allowed_user_key_lengths={"rsa": size})
        assert message == (
            "error processing allowed_user_key_lengths: each length must be a whole number of at most 63 bits"
        )
    good: list[Any] = [2**63 - 1, "9999999999", "010", "-5", True, ""]
    kept = written(**ca, allowed_user_key_lengths={"rsa": good})
    assert kept.key_lengths == {"rsa": (2**63 - 1, 9999999999, 10, -5, 1, 0)}
    assert "at most 256 types" in refused(
        **ca, allowed_user_key_lengths=dict.fromkeys(map(str, range(257)), 1)
    )
    assert "at most 256 lengths" in refused(**ca, allowed_user_key_lengths={"rsa": [1] * 257})
    assert "256 entries" in refused(**ca, default_extensions=dict.fromkeys(map(str, range(257)), ""))


@pytest.mark.parametrize(
    "field",
    [
        "allowed_users",
        "allowed_domains",
        "allowed_critical_options",
        "allowed_extensions",
        "cidr_list",
        "exclude_cidr_list",
    ],
)
def test_a_list_has_a_limit(field: str) -> None:
    kind: dict[str, Any] = {"key_type": "ca", "allow_host_certificates": True}
    if "cidr" in field:
        kind = {"key_type": "otp", "default_user": "u"}
    elif field != "allowed_users":
        assert refused(**kind, **{field: "x," * 4096}) == f"field '{field}' may have at most 4096 names"
        written(**kind, **{field: "x," * 4095 + "x"})
    assert refused(**kind, **{field: " " * 65537}) == f"field '{field}' may have at most 65536 characters"
    written(**kind, **{field: " " * 65536})


@pytest.mark.parametrize(
    "field", ["default_critical_options", "default_extensions", "allowed_user_key_lengths"]
)
def test_options_and_types_have_a_limit(field: str) -> None:
    kind: dict[str, Any] = {"key_type": "ca", "allow_user_certificates": True}
    long: dict[str, Any] = {"x" * 65536: "1"} if field == "allowed_user_key_lengths" else {"x": "y" * 65535}
    written(**kind, **{field: long})
    assert "65536 characters" in refused(**kind, **{field: {**long, "z": ""}})


def test_values_become_texts_as_openbao_writes_them() -> None:
    given = {"c": None, "a": [1, "x", [True]], "b": {"z": 1, "a": False}, "d": 1.5, "e": ""}
    texts = {"a": "[1 x [true]]", "b": "map[a:false z:1]", "c": "<nil>", "d": "1.5", "e": ""}
    assert list(as_texts("f", given).items()) == list(texts.items())
    assert as_texts("f", None) == {}


def test_a_text_with_commas_lists_what_is_between_them() -> None:
    assert listed(" a, b c ,,") == ["a", "b c"]
    assert listed("") == []
