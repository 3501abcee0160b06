# SPDX-License-Identifier: EUPL-1.2
"""sys/namespaces: making, showing, changing, listing and removing; what every namespace has from the start."""

from collections.abc import Mapping

from tests.conformance.scenario import MERGE, Scenario, delete, get, lst, patch, post, scan

UNORDERED = ("data.keys",)
NS = "sys/namespaces"
RESERVED = "root"
"""A name that no namespace has."""


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
    get("auth/token/lookup-self", token="{t}"),
    post("auth/token/lookup", {"token": "{t}"}),
    get(f"{NS}/gone", settle=404),
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
    post(f"{NS}/sealed2", {"pgp_keys": ["x"]}),
    post(f"{NS}/sealed3", {"seal": 'seal "shamir" { shares = 3 threshold = 2 }'}, divergence="DV-14"),
]

SCENARIOS = (
    Scenario("namespaces", "crud", CRUD),
    Scenario("namespaces", "names", NAMES),
    Scenario("namespaces", "starting", STARTING),
    Scenario("namespaces", "collisions", COLLISIONS),
    Scenario("namespaces", "removal", REMOVAL),
    Scenario("namespaces", "sealing", SEALING),
)
