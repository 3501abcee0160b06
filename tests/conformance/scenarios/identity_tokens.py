# SPDX-License-Identifier: EUPL-1.2
"""Identity tokens: keys, roles, tokens, introspection and what verifiers read."""

from tests.conformance.scenario import Scenario, Step, delete, get, login, lst, policy, post
from tests.conformance.scenarios.identity import home
from tests.conformance.scenarios.userpass import hashed

B = "ido/identity/oidc/"
C = "idc/identity/oidc/"


def key(name: str, divergence: str = "", **body: object) -> Step:
    """Writes a signing key."""
    return post(f"{B}key/{name}", body, divergence=divergence)


def role(name: str, divergence: str = "", **body: object) -> Step:
    """Writes a role."""
    return post(f"{B}role/{name}", body, divergence=divergence)


CONFIG = [
    *home("idc"),
    get(C + "config"),
    post(C + "config", {"issuer": "bad"}),
    post(C + "config", {"issuer": "http://127.0.0.1:1/x"}),
    post(C + "config", {"issuer": "https://ex.com/"}),
    post(C + "config", {"issuer": "https://ex.com?x=1"}),
    post(C + "config", {"issuer": "https://ex.com:8200"}),
    get(C + "config"),
    get(C + ".well-known/openid-configuration", token=""),
    post(C + "config", {"issuer": ""}),
    post(C + "config", {}),
    get(C + "config"),
    get(C + ".well-known/openid-configuration", token=""),
    get("identity/oidc/.well-known/openid-configuration", token=""),
    post(C + "key/unused", {}),
    get(C + ".well-known/keys", token=""),
    get(C + "nothing"),
]

KEYS = [
    *home("ido"),
    lst(B + "key"),
    get(B + "key/default"),
    get(B + "key/none"),
    key("k1"),
    get(B + "key/k1"),
    key("k2", "DV-02", algorithm="bogus"),
    key("k2", rotation_period="0s"),
    key("k2", rotation_period="30s"),
    key("k2", rotation_period="1m", verification_ttl="20m"),
    key("k2", algorithm="ES256", rotation_period="1h", verification_ttl="2h", allowed_client_ids="a,b"),
    get(B + "key/k2"),
    key("k2", algorithm="RS256"),
    get(B + "key/k2"),
    key("k3", algorithm="EdDSA"),
    key("k4", algorithm="ES512"),
    post(B + "key/bad$name", {}),
    lst(B + "key"),
    post(B + "key/k1/rotate", {}),
    post(B + "key/none/rotate", {}),
    post(B + "key/k1/rotate", {"verification_ttl": "1h"}),
    post(B + "key/k1/rotate", {"verification_ttl": "100h"}),
    post(B + "key/k2/rotate", {"verification_ttl": "100h"}),
    delete(B + "key/none"),
    delete(B + "key/k4"),
    get(B + "key/k4"),
    delete(B + "key/default"),
    lst(B + "role"),
    get(B + "role/none"),
    role("r1"),
    role("r1", key="k1", client_id="audience"),
    get(B + "role/r1"),
    role("r2", "DV-02", key="nokey"),
    get(B + "role/r2"),
    role("r3", "DV-02", key="k2", ttl="1h", client_id="cid", template="{bad"),
    role("r3", key="k2", ttl="1h", client_id="cid", template='{"sub":"x"}'),
    role("r3", key="k2", ttl="3h", client_id="cid", template='{"n":{{identity.entity.name}}}'),
    role("r3", key="k2", ttl="1h", client_id="cid", template='{"n":{{identity.entity.name}}}'),
    get(B + "role/r3"),
    role("r4", "DV-02", key="k2", ttl="-1h"),
    role("r4", key="k2", template="eyJhIjoiYiJ9"),
    role("r4", key="k1", template="eyJhIjoiYiJ9"),
    get(B + "role/r4", pick=("data.template", "data.key", "data.ttl")),
    role("r5", key="k1", template="[1]"),
    role("r6", key="k1", template='{"x":{{identity.bogus}}}'),
    role("r6", key="k1", template='{"x":{{'),
    role("r6", key="k1", template='{"aud":"x"}'),
    role("r6", key="k1", template='{"at_hash":"x"}'),
    role("r6", "DV-02", key="k1", template='{"s":"x{{identity.entity.name}}"}'),
    role("r6", key="k1", template='{"m":{"n":{{identity.entity.id}}}}'),
    role("r7", key="k1", template='{"m":{"n":{{identity.entity.id}} },"p":{{time.now.plus.1h}}}'),
    role("r8", key="default"),
    lst(B + "role"),
    key("k1", verification_ttl="1h"),
    delete(B + "key/k1"),
    delete(B + "role/r7"),
    delete(B + "role/none"),
    get(B + "role/r7"),
]

TOKENS = [
    *home("idj", "ja"),
    post("idj/sys/policies/acl/oidc", {"policy": 'path "identity/oidc/token/*" { capabilities = ["read"] }'}),
    post("idj/auth/ja/users/ann", {**hashed("p"), "token_policies": "oidc"}),
    post(
        "idj/auth/ja/login/ann", {"password": "p"}, token="", save=("t:auth.client_token", "e:auth.entity_id")
    ),
    post("idj/identity/oidc/key/k1", {}),
    post("idj/identity/oidc/role/r1", {"key": "k1", "client_id": "cid"}),
    get("idj/identity/oidc/token/r1", token="{t}"),
    get("idj/identity/oidc/token/none", token="{t}"),
    get("idj/identity/oidc/token/none"),
    post("idj/identity/oidc/key/k1", {"allowed_client_ids": "cid"}),
    get("idj/identity/oidc/token/r1"),
    get("idj/identity/oidc/token/r1", token="{t}", save=("jwt:data.token",)),
    get("idj/identity/oidc/token/r1", token=""),
    post("idj/identity/oidc/introspect", {}),
    post("idj/identity/oidc/introspect", {"token": "{jwt}"}),
    post("idj/identity/oidc/introspect", {"token": "{jwt}", "client_id": "cid"}),
    post("idj/identity/oidc/introspect", {"token": "{jwt}", "client_id": "other"}),
    post("idj/identity/oidc/introspect", {"token": "x"}),
    post("idj/identity/oidc/introspect", {"token": "{jwt}AAAA"}),
    post("idj/identity/oidc/introspect", {"token": "{jwt}"}, token=""),
    post("idj/identity/oidc/key/k1/rotate", {}),
    post("idj/identity/oidc/introspect", {"token": "{jwt}"}),
    post("idj/identity/oidc/key/k1/rotate", {}),
    post("idj/identity/oidc/introspect", {"token": "{jwt}"}),
    post("idj/identity/oidc/key/k9", {}),
    post("identity/oidc/introspect", {"token": "{jwt}"}),
    post("idj/identity/entity/id/{e}", {"disabled": True}),
    post("idj/identity/oidc/introspect", {"token": "{jwt}"}),
    delete("idj/identity/entity/id/{e}"),
    post("idj/identity/oidc/introspect", {"token": "{jwt}"}),
]

U = "iduse/identity/oidc/"
USED = [
    post("sys/namespaces/iduse", {}),
    post(U + "key/k", {}),
    post(U + "client/one", {"key": "k"}),
    post(U + "client/two", {"key": "k", "id_token_ttl": "1m"}),
    delete(U + "key/k"),
    post(U + "key/k", {"verification_ttl": "1h"}),
    delete(U + "client/one"),
    post(U + "key/k", {"verification_ttl": "1h"}),
    post(U + "key/k", {"verification_ttl": "30s"}),
    post(U + "role/r", {"key": "k", "ttl": "1m"}),
    post(U + "key/k", {"verification_ttl": "30s"}),
    delete(U + "key/k"),
    delete(U + "role/r"),
    delete(U + "key/k"),
    delete(U + "client/two"),
    delete(U + "key/k"),
    get(U + "key/k"),
]

KINDS = ("key", "role", "assignment", "scope", "client", "provider")
MADE = [
    *(policy(may, f'path "identity/oidc/*" {{ capabilities = ["{may}"] }}') for may in ("create", "update")),
    login("maker", "create"),
    login("changer", "update"),
    *(
        post(f"identity/oidc/{kind}/made", {"key": "default"} if kind == "role" else {}, token=who)
        for kind in KINDS
        for who in ("{changer}", "{maker}", "{maker}", "{changer}")
    ),
    *(
        post(f"identity/oidc/{there}", {}, token="{maker}")
        for there in ("key/default", "assignment/allow_all", "provider/default", "scope/openid")
    ),
    post("identity/oidc/key/made/rotate", {}, token="{maker}"),
    post("identity/oidc/key/made/rotate", {}, token="{changer}"),
]

SCENARIOS = [
    Scenario("identity-tokens", "config", CONFIG),
    Scenario("identity-tokens", "keys", KEYS),
    Scenario("identity-tokens", "tokens", TOKENS),
    Scenario("identity-tokens", "keys-in-use", USED),
    Scenario("identity-tokens", "made-or-changed", MADE),
]
