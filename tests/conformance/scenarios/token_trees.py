# SPDX-License-Identifier: EUPL-1.2
"""Revocation of tokens and their trees, rights of creators, batch tokens."""

from tests.conformance.scenario import Scenario, Step, delete, get, login, policy, post

CREATE = "auth/token/create"
LOOKUP = "auth/token/lookup"
SELF = "auth/token/lookup-self"


def child(name: str, of: str, **body: object) -> Step:
    """A token created by another one, captured as `name`."""
    save = (f"{name}:auth.client_token", f"{name}_acc:auth.accessor")
    return post(CREATE, {"ttl": "1h", **body}, token=f"{{{of}}}", save=save)


MAKERS = [
    policy(
        "tree-make",
        'path "auth/token/create" { capabilities = ["create", "update"] }\n'
        'path "auth/token/revoke-self" { capabilities = ["update"] }\n'
        'path "auth/token/lookup-self" { capabilities = ["read"] }\n'
        'path "cubbyhole/*" { capabilities = ["create", "read", "update"] }',
    ),
    policy(
        "tree-sudo",
        'path "auth/token/*" { capabilities = ["create", "update", "read", "list", "sudo"] }',
    ),
]

REVOKE = MAKERS + [
    login("a", "tree-make", ttl="1h"),
    child("b", "a"),
    child("c", "b"),
    post("cubbyhole/x", {"k": "v"}, token="{c}"),
    get("cubbyhole/x", token="{c}"),
    post("auth/token/revoke", {"token": "{b}"}),
    get(SELF, token="{c}"),
    get(SELF, token="{b}"),
    get(SELF, token="{a}"),
    child("d", "a"),
    child("e", "d"),
    post("auth/token/revoke-orphan", {"token": "{d}"}, token="{a}"),
    post("auth/token/revoke-orphan", {"token": "{d}"}),
    get(SELF, token="{d}"),
    get(SELF, token="{e}"),
    post("auth/token/revoke-self", {}, token="{a}"),
    get(SELF, token="{a}"),
    get(SELF, token="{e}"),
    post("auth/token/revoke-accessor", {"accessor": "{e_acc}"}),
    get(SELF, token="{e}"),
    post("auth/token/lookup-accessor", {"accessor": "{e_acc}"}),
    post("auth/token/revoke-accessor", {"accessor": "unknown"}),
    post("auth/token/revoke-accessor", {}),
    post("auth/token/revoke", {"token": "unknown"}),
    post("auth/token/revoke", {"token": ""}),
    post("auth/token/revoke", {}),
    post("auth/token/revoke/{e}", {}),
    post("auth/token/revoke-orphan", {"token": "unknown"}),
    post("auth/token/revoke-orphan", {}),
    post("auth/token/tidy", {}),
]

RIGHTS = MAKERS + [
    login("maker", "tree-make", ttl="1h"),
    login("chief", "tree-sudo", ttl="1h"),
    child("same", "maker"),
    post(LOOKUP, {"token": "{same}"}),
    child("x1", "maker", policies=["tree-make"]),
    child("x2", "maker", policies=["tree-make", "default"]),
    child("x3", "maker", policies=["tree-sudo"]),
    child("x4", "maker", policies=["root"]),
    child("x5", "maker", policies=["nosuch"]),
    child("x6", "maker", no_parent=True),
    child("x7", "maker", period="1h"),
    child("x8", "maker", id="tree-custom"),
    child("x9", "maker", no_default_policy=True),
    child("y0", "maker", policies=["default"]),
    child("z1", "chief", no_parent=True),
    child("z2", "chief", period="1h"),
    child("z3", "chief", policies=["nosuch"]),
    child("z4", "chief", policies=["root"]),
    child("z5", "chief", id="tree-custom-two"),
    post("auth/token/create-orphan", {"ttl": "1h"}, token="{maker}"),
    post("auth/token/create-orphan", {"ttl": "1h"}, token="{chief}"),
    post(CREATE, {"ttl": "1h"}, token=""),
    post(CREATE, {"ttl": "1h"}, token="bad"),
    login("limited", "tree-make", ttl="10m", explicit_max_ttl="10m"),
    child("longer", "limited", ttl="2h"),
    post(LOOKUP, {"token": "{longer}"}),
]

BATCH = MAKERS + [
    post(CREATE, {"type": "batch", "policies": ["tree-make"], "ttl": "1h"}, save=("b:auth.client_token",)),
    get(SELF, token="{b}"),
    post(LOOKUP, {"token": "{b}"}),
    post("auth/token/renew", {"token": "{b}"}),
    post("auth/token/renew-self", {}, token="{b}"),
    post("auth/token/revoke", {"token": "{b}"}),
    post("auth/token/revoke-self", {}, token="{b}"),
    post(CREATE, {"ttl": "1m"}, token="{b}"),
    post("cubbyhole/x", {"a": "1"}, token="{b}"),
    get("cubbyhole/x", token="{b}"),
    post(CREATE, {"type": "batch", "policies": ["default"], "num_uses": 2}),
    post(CREATE, {"type": "batch", "policies": ["default"], "period": "1h"}),
    post(CREATE, {"type": "batch", "policies": ["default"], "explicit_max_ttl": "1h"}),
    post(CREATE, {"type": "batch", "policies": ["root"]}),
    post(CREATE, {"type": "batch"}),
    post(CREATE, {"type": "batch", "policies": ["default"], "renewable": True}),
    post(CREATE, {"type": "batch", "policies": ["default"], "id": "tree-batch"}),
    login("parent", "tree-make", ttl="1h"),
    child("kid", "parent", type="batch"),
    get(SELF, token="{kid}"),
    post("auth/token/revoke", {"token": "{parent}"}),
    get(SELF, token="{kid}"),
    get(SELF, token="b.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
]

BROAD = [
    login("top", "root", ttl="1h"),
    *[child(f"n{number}", "top", policies=["default"]) for number in range(90)],
    login("heir", "root", ttl="1h"),
    child("below", "heir"),
    child("under", "below", policies=["default"]),
    child("flat", "below", policies=["default"], type="batch"),
    post("auth/token/revoke", {"token": "{top}"}),
    *[get(SELF, token=f"{{n{number}}}") for number in (0, 63, 64, 89)],
    post("auth/token/renew-self", {}, token="{n89}"),
    post("auth/token/renew", {"token": "{n89}"}),
    post(LOOKUP, {"token": "{n89}"}),
    post("auth/token/lookup-accessor", {"accessor": "{n89_acc}"}),
    post("auth/token/renew-accessor", {"accessor": "{n89_acc}"}),
    post("auth/token/revoke-accessor", {"accessor": "{n0_acc}"}),
    post("sys/capabilities", {"token": "{n89}", "paths": ["sys/mounts"]}),
    post("sys/capabilities-accessor", {"accessor": "{n89_acc}", "paths": ["sys/mounts"]}),
    post("sys/wrapping/wrap", {"a": "b"}, token="{n89}", headers={"X-Vault-Wrap-TTL": "1m"}),
    get(SELF, token="{under}"),
    get(SELF, token="{flat}"),
    post("auth/token/revoke-self", {}, token="{heir}"),
    get(SELF, token="{below}"),
    get(SELF, token="{under}"),
    get(SELF, token="{flat}"),
]

LEFT = [
    login("top", "root", ttl="1h"),
    *[child(f"o{number}", "top", policies=["default"]) for number in range(80)],
    child("flat", "top", policies=["default"], type="batch"),
    post("auth/token/revoke-orphan", {"token": "{top}"}),
    *[get(SELF, token=f"{{o{number}}}") for number in (0, 63, 64, 79)],
    get(SELF, token="{flat}"),
    post(LOOKUP, {"token": "{o79}"}),
    post("auth/token/lookup-accessor", {"accessor": "{o79_acc}"}),
    post("auth/token/renew", {"token": "{o79}"}),
    *[post("auth/token/revoke", {"token": f"{{o{number}}}"}) for number in range(80)],
    get(SELF, token="{o0}"),
    get(SELF, token="{o79}"),
]

DEEP = [
    login("d0", "root", ttl="1h"),
    *[child(f"d{number}", f"d{number - 1}") for number in range(1, 256)],
    get(SELF, token="{d255}"),
    post(CREATE, {"ttl": "1h"}, token="{d255}", divergence="DV-93"),
    post(
        "auth/token/create-orphan",
        {"ttl": "1h", "policies": ["default"]},
        token="{d255}",
        save=("o:auth.client_token",),
    ),
    post("auth/token/revoke", {"token": "{d1}"}),
    get(SELF, token="{d2}"),
    get(SELF, token="{d255}"),
    get(SELF, token="{o}"),
    post("auth/token/revoke", {"token": "{d0}"}),
    post("auth/token/revoke", {"token": "{o}"}),
]

CHOSEN = [
    post(CREATE, {"id": "tree-chosen", "ttl": "1h"}),
    post(CREATE, {"ttl": "1h"}, token="tree-chosen", save=("kid:auth.client_token",)),
    post(CREATE, {"id": "tree-chosen", "ttl": "1h"}),
    post("auth/token/revoke", {"token": "tree-chosen"}),
    get(SELF, token="{kid}"),
    post(CREATE, {"id": "tree-chosen", "ttl": "1h"}),
    get(SELF, token="{kid}"),
    post("auth/token/revoke", {"token": "tree-chosen"}),
]

MOUNTS = [
    post("sys/auth/treeuser", {"type": "userpass"}),
    post("auth/treeuser/users/a", {"password": "pass-word", "token_policies": ["default"]}),
    post("auth/treeuser/login/a", {"password": "pass-word"}, token="", save=("t:auth.client_token",)),
    get(SELF, token="{t}"),
    post("auth/token/create", {"policies": ["default"]}, token="{t}"),
    post("sys/remount", {"from": "auth/treeuser", "to": "auth/treemoved"}),
    get("auth/treemoved/users/a", settle=200),
    get(SELF, token="{t}"),
    post("auth/treemoved/login/a", {"password": "pass-word"}, token="", save=("u:auth.client_token",)),
    get(SELF, token="{u}"),
    post("auth/token/renew-self", {"increment": "1h"}, token="{u}"),
    delete("sys/auth/treemoved"),
    get(SELF, token="{u}"),
    post("sys/auth/treemoved", {"type": "userpass"}),
    get(SELF, token="{u}"),
    delete("sys/auth/treemoved"),
    get(SELF, token="{u}"),
]

BATCHED = [
    post("sys/auth/treebatch", {"type": "userpass"}),
    post(
        "auth/treebatch/users/a",
        {"password": "pass-word", "token_type": "batch", "token_policies": ["default"]},
    ),
    post("auth/treebatch/login/a", {"password": "pass-word"}, token="", save=("t:auth.client_token",)),
    get(SELF, token="{t}"),
    delete("sys/auth/treebatch"),
    get(SELF, token="{t}"),
]

SCENARIOS = [
    Scenario("tokens", "revocation", REVOKE),
    Scenario("tokens", "rights", RIGHTS),
    Scenario("tokens", "batch", BATCH),
    Scenario("tokens", "broad-trees", BROAD),
    Scenario("tokens", "children-that-are-left-behind", LEFT),
    Scenario("tokens", "deep-trees", DEEP),
    Scenario("tokens", "chosen-ids-again", CHOSEN),
    Scenario("tokens", "logins-of-mounts-that-go", MOUNTS),
    Scenario("tokens", "batch-logins-of-a-mount-that-goes", BATCHED),
]
