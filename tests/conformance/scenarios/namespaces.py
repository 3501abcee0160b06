# SPDX-License-Identifier: EUPL-1.2
"""sys/namespaces: making, showing, changing, listing and removing; what every namespace has from the start."""

from collections.abc import Mapping

from tests.conformance.scenario import MERGE, Scenario, delete, get, lst, patch, post, scan

UNORDERED = ("data.keys",)
NS = "sys/namespaces"
RESERVED = "root"
"""A name that no namespace has."""
ONE_OF_ONE = 'seal "shamir" { shares = 1 threshold = 1 }'
TWO_OF_TWO = 'seal "shamir" { shares = 2 threshold = 2 }'


def inside(name: str) -> Mapping[str, str]:
    """The header that names a namespace."""
    return {"X-Vault-Namespace": name}


CRUD = [
    get(f"{NS}/crud"),
    delete(f"{NS}/crud"),
    patch(f"{NS}/crud", {"custom_metadata": {"a": "b"}}),
    get(NS),
    post(f"{NS}/crud"),
    post(f"{NS}/crud"),
    get(f"{NS}/crud"),
    get(f"{NS}/crud/"),
    post(f"{NS}/crud", {"custom_metadata": {"b": "2", "a": "1"}}),
    patch(f"{NS}/crud", {}),
    patch(f"{NS}/crud", {"custom_metadata": {"a": None, "c": "3"}}),
    patch(f"{NS}/crud", {"custom_metadata": {"a": 5}}, divergence="DV-02"),
    patch(f"{NS}/crud", {"custom_metadata": None}),
    post(f"{NS}/crud", {"custom_metadata": {"a": 5}}),
    post(f"{NS}/crud", {"custom_metadata": {"": "", "k": ""}}),
    get(f"{NS}/crud"),
    post(f"{NS}/crud", {}),
    post(f"{NS}/crud/", {}),
    get(f"{NS}/crud/inner"),
    post(f"{NS}/crud/inner"),
    post(f"{NS}/inner", headers=inside("crud")),
    post(f"crud/{NS}/second", {"custom_metadata": {"x": "1"}}),
    get(f"{NS}/inner", headers=inside("crud")),
    get(f"crud/{NS}/inner"),
    lst(NS, headers=inside("crud"), unordered=UNORDERED),
    scan(NS, headers=inside("crud"), unordered=UNORDERED),
    post(f"{NS}/deep", headers=inside("crud/inner")),
    scan(f"crud/{NS}", unordered=UNORDERED),
    lst(f"crud/{NS}", unordered=UNORDERED),
    lst(NS, headers=inside("crud/inner/deep")),
    scan(NS, headers=inside("crud/inner/deep")),
    lst(f"{NS}/crud"),
    scan(f"{NS}/crud"),
    delete(f"{NS}/crud"),
    delete(f"{NS}/second", headers=inside("crud")),
    get(f"crud/{NS}/second", settle=404),
    delete(f"{NS}/second", headers=inside("crud")),
    get(NS, token=""),
    get(f"{NS}/crud", token=""),
    get(f"{NS}/crud", token="bad"),
]

NAMES = [
    *(post(f"{NS}/{name}") for name in ("root", "sys", "auth", "audit", "cubbyhole", "identity")),
    post(f"{NS}/ROOT", divergence="DV-10"),
    *(post(f"{NS}/{name}") for name in ("a+b", "a*", "%20x", "x%20", "a%2fb", ".", "x/../y")),
    *(post(f"{NS}/names-{name}") for name in ("a.b", "-x", "n_1", "%C3%A4", "rootx")),
    get(f"{NS}/root"),
    delete(f"{NS}/root"),
    patch(f"{NS}/root", {}, headers=MERGE),
    get(f"{NS}/sys"),
    lst(f"{NS}/root"),
]

STARTING = [
    post(f"{NS}/start"),
    get("sys/mounts", headers=inside("start"), pick=("data",)),
    get("start/sys/mounts", pick=("data", "auth")),
    get("sys/auth", headers=inside("start")),
    get("start/sys/auth"),
    lst("start/sys/policies/acl"),
    get("start/sys/policy"),
    get("start/sys/policies/acl/root"),
    get("sys/policies/acl/default", headers=inside("start"), shape=2),
    get("start/sys/policies/acl/response-wrapping", shape=2),
    lst("start/auth/token/accessors"),
    get("start/sys/mounts/kv/tune"),
    get("start/sys/auth/token/tune"),
    post("start/sys/mounts/kv", {"type": "kv"}),
    post("start/sys/mounts/kv", {"type": "kv"}),
    post("start/sys/mounts/two", {"type": "kv-v2"}),
    post("start/sys/mounts/sys", {"type": "kv"}),
    post("start/sys/mounts/x", {"type": "ns_system"}),
    post("start/kv/a", {"x": "1"}),
    get("start/kv/a"),
    get("kv/a", headers=inside("start")),
    post("start/two/data/a", {"data": {"x": "1"}}),
    get("two/data/a", headers=inside("start")),
    lst("start/kv"),
    delete("start/sys/mounts/sys"),
    delete("start/sys/auth/token"),
    delete("start/sys/mounts/kv"),
    get("start/kv/a"),
]

COLLISIONS = [
    post("sys/mounts/taken", {"type": "kv"}),
    post("sys/mounts/taken2/deep", {"type": "kv"}),
    post(f"{NS}/taken"),
    post(f"{NS}/taken2"),
    post(f"{NS}/free"),
    post("sys/mounts/free", {"type": "kv"}),
    post("sys/mounts/free/x", {"type": "kv"}),
    post("free/sys/mounts/kv", {"type": "kv"}),
    post(f"free/{NS}/kv"),
    delete("sys/mounts/taken"),
    delete("sys/mounts/taken2/deep"),
    post(f"{NS}/taken"),
]

REMOVAL = [
    post(f"{NS}/gone"),
    post("gone/sys/mounts/kv", {"type": "kv"}),
    post("gone/kv/a", {"x": "1"}),
    post("gone/auth/token/create", {"policies": ["default"]}, save=("t:auth.client_token",)),
    get("auth/token/lookup-self", token="{t}"),
    delete(f"{NS}/gone"),
    get(f"{NS}/gone", settle=404),  # meanwhile OpenBao answers as far as it has come
    get("auth/token/lookup-self", token="{t}"),
    post("auth/token/lookup", {"token": "{t}"}),
    get("gone/kv/a"),
    get("kv/a", headers=inside("gone")),
    get("auth/token/lookup-self", token="{t}"),
    post(f"{NS}/gone"),
    get("gone/kv/a"),
    lst("gone/auth/token/accessors"),
    get("auth/token/lookup-self", token="{t}"),
    delete(f"{NS}/gone/"),
    get(f"{NS}/gone", settle=404),
]

SEALING = [
    post(f"{NS}/sealed"),
    get(f"{NS}/sealed/seal-status"),
    post(f"{NS}/sealed/unseal", {"key": "aa"}),
    delete(f"{NS}/sealed/delete-sealed"),
    get(f"{NS}/sealed/inner/seal-status"),
    get(f"{NS}/{RESERVED}/seal-status"),
    get(f"{NS}/sealed/seal-status", token=""),
    post(f"{NS}/none/seal", {}),
    post(f"{NS}/sealed/seal", {}, divergence="DV-14"),
    post(f"{NS}/sealed/unseal", {}, divergence="DV-14"),
    get(f"{NS}/none/seal-status", divergence="DV-14"),
    delete(f"{NS}/none/delete-sealed"),
    post(f"{NS}/sealed2", {"pgp_keys": ["x"]}),
    post(f"{NS}/sealed", {"seal": ONE_OF_ONE}),
]

KEYS_OF_ITS_OWN = [
    post(f"{NS}/own", {"seal": ONE_OF_ONE}, save=("own:data.key_shares.0",), shape=2),
    get(f"{NS}/own"),
    get(f"{NS}/own/seal-status"),
    get("own/sys/mounts"),
    get("own/kid/sys/mounts"),
    get("own/sys/seal-status"),
    get("own/sys/mounts", token="s.unknown"),
    post(f"own/{NS}/kid", {}),
    post(f"{NS}/own", {"custom_metadata": {"a": "b"}}),
    post(f"{NS}/own", {"seal": ONE_OF_ONE}),
    delete(f"{NS}/own"),
    post(f"{NS}/own/unseal", {"key": "zz"}),
    post(f"{NS}/own/unseal", {"key": "abcd"}),
    post(f"{NS}/own/unseal", {"key": "00" * 40}),
    post(f"{NS}/own/unseal", {"key": "00" * 32}),
    get(f"{NS}/own/seal-status"),
    post(f"{NS}/own/unseal", {"key": "{own}"}),
    post(f"{NS}/own/unseal", {"key": "{own}"}),
    get(f"{NS}/own/seal-status"),
    post("own/sys/mounts/kv", {"type": "kv"}),
    post("own/kv/a", {"of": "own"}),
    post(f"own/{NS}/kid", {}),
    post("own/kid/sys/mounts/kv", {"type": "kv"}),
    post("own/kid/kv/a", {"of": "kid"}),
    post("own/auth/token/create", {"policies": ["default"]}, save=("own_token:auth.client_token",)),
    get("own/sys/key-status", shape=2),
    post("own/sys/rotate", {}),
    get("own/sys/key-status", shape=2),
    get("own/sys/rotate/config"),
    post("own/sys/rotate/config", {"max_operations": 2000000, "interval": "24h"}),
    get("own/sys/rotate/config"),
    get("own/kid/sys/key-status"),
    delete(f"{NS}/own/delete-sealed"),
    post(f"{NS}/own/seal", {}),
    post(f"{NS}/own/seal", {}),
    get(f"{NS}/own/seal-status"),
    get("own/kv/a"),
    get("own/kid/kv/a"),
    get("own/auth/token/lookup-self", token="{own_token}"),
    get("auth/token/lookup-self", token="{own_token}", divergence="DV-16"),
    get("own/sys/internal/ui/mounts", token=""),
    post(f"{NS}/own/unseal", {"key": "{own}"}),
    get("own/kv/a"),
    get("own/kid/kv/a"),
    get("auth/token/lookup-self", token="{own_token}", pick=("data.policies", "data.path")),
    post(f"own/{NS}/inner", {"seal": ONE_OF_ONE}, save=("inner:data.key_shares.0",), shape=2),
    post(f"own/{NS}/inner/unseal", {"key": "{inner}"}),
    get("own/inner/sys/policies/acl"),
    post(f"{NS}/own/seal", {}),
    get(f"own/{NS}/inner/seal-status"),
    post(f"{NS}/own/unseal", {"key": "{own}"}),
    get(f"own/{NS}/inner/seal-status"),
    get("own/inner/sys/policies/acl"),
    post(f"{NS}/own/seal", {}),
    delete(f"{NS}/own/delete-sealed"),
    delete(f"{NS}/own/delete-sealed?force=true"),
    get(f"{NS}/own", settle=404),
]

SHARES = [
    post(
        f"{NS}/two",
        {"seal": TWO_OF_TWO},
        save=("first:data.key_shares.0", "second:data.key_shares.1"),
        shape=2,
    ),
    post(f"{NS}/two/unseal", {"key": "{first}"}, shape=2),
    get(f"{NS}/two/seal-status", shape=2),
    post(f"{NS}/two/unseal", {"key": "{first}"}, shape=2),
    post(f"{NS}/two/unseal", {"reset": True}),
    post(f"{NS}/two/unseal", {"key": "{second}"}, shape=2),
    post(f"{NS}/two/unseal", {"key": "{first}"}),
    get("two/sys/policies/acl"),
    post(f"{NS}/two/seal", {}),
    delete(f"{NS}/two/delete-sealed"),
    get(f"{NS}/two", settle=404),
    *(
        post(f"{NS}/never", {"seal": text})
        for text in (
            'seal "shamir" {}',
            'seal "shamir" { shares = 0 threshold = 0 }',
            'seal "shamir" { shares = 1 threshold = 2 }',
            'seal "shamir" { shares = 2 threshold = 1 }',
            'seal "shamir" { shares = 256 threshold = 2 }',
            'seal "shamir" { key_shares = 2 key_threshold = 2 }',
        )
    ),
    *(
        post(f"{NS}/never", {"seal": text}, divergence="DV-14")
        for text in ('seal "nope" {}', "garbage", "", f"{ONE_OF_ONE} {ONE_OF_ONE}")
    ),
    get(f"{NS}/never"),
    post(f"{NS}/json", {"seal": '{"seal":{"shamir":{"shares":1,"threshold":1}}}'}, shape=2),
    post(f"{NS}/quoted", {"seal": 'seal "shamir" { shares = "2" threshold = "2" }'}, shape=2),
    delete(f"{NS}/json/delete-sealed"),
    delete(f"{NS}/quoted/delete-sealed"),
]

SCENARIOS = (
    Scenario("namespaces", "crud", CRUD),
    Scenario("namespaces", "names", NAMES),
    Scenario("namespaces", "starting", STARTING),
    Scenario("namespaces", "collisions", COLLISIONS),
    Scenario("namespaces", "removal", REMOVAL),
    Scenario("namespaces", "sealing", SEALING),
    Scenario("namespaces", "keys of its own", KEYS_OF_ITS_OWN),
    Scenario("namespaces", "shares", SHARES),
)
