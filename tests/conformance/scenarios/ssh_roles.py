# SPDX-License-Identifier: EUPL-1.2
"""ssh: roles, with every field, and what is refused of them."""

from typing import Any

from tests.conformance.scenario import Scenario, Step, delete, get, lst, post


def _ca(**fields: Any) -> dict[str, Any]:
    return {"key_type": "ca", "allow_host_certificates": True, **fields}


def _otp(**fields: Any) -> dict[str, Any]:
    return {"key_type": "otp", "default_user": "u", **fields}


def _written(body: dict[str, Any], **options: Any) -> list[Step]:
    return [post("sr/roles/r", body, **options), get("sr/roles/r")]


_ALL = _ca(
    allow_user_certificates=True,
    default_user="u",
    allowed_users="a, b",
    allowed_users_template=True,
    default_user_template=True,
    allowed_domains="a.b, c.d",
    allowed_domains_template=True,
    ttl="5m",
    max_ttl="30m",
    allowed_critical_options="force-command",
    allowed_extensions="permit-pty,x",
    default_critical_options={"force-command": "x"},
    default_extensions={"a": 1, "b": True, "c": None, "d": 1.5, "e": [1, "x"], "f": {"g": 1, "a": "b"}},
    default_extensions_template=True,
    allow_bare_domains=True,
    allow_subdomains=True,
    allow_user_key_ids=True,
    allow_empty_principals=True,
    allow_commas_in_identity_templates=True,
    allow_wildcards_in_identity_templates=True,
    key_id_format="{{zz}}",
    allowed_user_key_lengths={
        "rsa": [2048, "4096"],
        "ed25519": 0,
        "ec": "256",
        "x": None,
        "y": "",
        "z": True,
    },
    algorithm_signer="rsa-sha2-512",
    issuer_ref="nope",
    not_before_duration="5m",
)
OTP = [
    post("sys/mounts/so", {"type": "ssh"}),
    lst("so/roles"),
    get("so/roles/r"),
    delete("so/roles/r"),
    post("so/roles/r", {}),
    post("so/roles/r", {"key_type": "x"}),
    post("so/roles/r", {"key_type": "dynamic"}),
    post("so/roles/r", {"key_type": "otp"}),
    post("so/roles/r", _otp()),
    get("so/roles/r"),
    post("so/roles/r", _otp(cidr_list="1.2.3.4"), divergence="DV-07"),
    post("so/roles/r", _otp(cidr_list="1.2.3.4/33"), divergence="DV-07"),
    post("so/roles/r", _otp(cidr_list="10.0.0.0/255.0.0.0"), divergence="DV-07"),
    post("so/roles/r", _otp(cidr_list="10.0.0.0/8", exclude_cidr_list="bad"), divergence="DV-07"),
    post(
        "so/roles/r",
        _otp(
            cidr_list="10.0.0.0/8,1.1.1.1/32",
            exclude_cidr_list="10.1.0.0/16",
            allowed_users="a, b",
            port=2222,
            allow_bare_domains=True,
            ttl="5m",
        ),
    ),
    get("so/roles/r"),
    post("so/roles/r", _otp(port=-1)),
    get("so/roles/r"),
    post("so/roles/r", _otp(port=0)),
    get("so/roles/r"),
    post("so/roles/r", _otp(port="x")),
    post("so/roles/a@b.c", _otp(cidr_list="fd00::/8")),
    get("so/roles/a@b.c"),
    post("so/roles/-bad", _otp()),
    post("so/roles/R", {"key_type": "OTP", "default_user": "u"}),
    lst("so/roles"),
    lst("so/roles?after=R"),
    lst("so/roles?limit=1"),
    delete("so/roles/R"),
    lst("so/roles"),
    delete("sys/mounts/so"),
]
CA = [
    post("sys/mounts/sr", {"type": "ssh"}),
    post("sr/roles/r", {"key_type": "ca"}),
    *_written(_ca()),
    *_written(_ca(algorithm_signer="x"), divergence="DV-07"),
    *_written(_ca(ttl="2h", max_ttl="1h")),
    *_written(_ca(ttl="1h", max_ttl="1h")),
    *_written(_ca(ttl="2h")),
    *_written(_ALL),
    post("sr/roles/r", _ca(allowed_user_key_lengths={"rsa": "x"}), divergence="DV-02"),
    post("sr/roles/r", _ca(allowed_user_key_lengths={"rsa": [2048, [3]]}), divergence="DV-02"),
    post("sr/roles/r", _ca(allowed_user_key_lengths={"rsa": {"a": 1}}), divergence="DV-02"),
    post("sr/roles/r", _ca(allowed_user_key_lengths={"rsa": 1.5}), divergence="DV-02"),
    *_written(_ca(allowed_user_key_lengths={"rsa": -1, "bogus": 1, "none": []})),
    post("sr/roles/r", _ca(allowed_user_key_lengths="rsa=2048")),
    post("sr/roles/r", _ca(default_extensions="a=b")),
    post("sr/roles/r", _ca(default_critical_options=["a"])),
    post("sr/roles/r", _ca(ttl=-5), divergence="DV-02"),
    post("sr/roles/r", _ca(not_before_duration=-5), divergence="DV-02"),
    *_written(_ca(not_before_duration=0)),
    *_written(_ca(ttl="100000h", max_ttl="200000h")),
    *_written(_ca(issuer_ref="", algorithm_signer="")),
    *_written(_ca(allowed_users="{{bad", allowed_users_template=True)),
    *_written({"key_type": "CA", "allow_user_certificates": True}),
    post("sr/roles/r", {"max_ttl": "3h"}),
    lst("sr/roles"),
    post("sr/roles/o", _otp()),
    lst("sr/roles"),
    delete("sr/roles/r"),
    get("sr/roles/r"),
    delete("sys/mounts/sr"),
]
SCENARIOS = [Scenario("ssh_roles", "passwords", OTP), Scenario("ssh_roles", "certificates", CA)]
