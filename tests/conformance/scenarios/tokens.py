# SPDX-License-Identifier: EUPL-1.2
"""Service tokens: creation, lookup, renewal, revocation, trees, limits; subset and sudo rules."""

from tests.conformance.scenario import Scenario, Step, get, login, lst, policy, post, put

CREATE = "auth/token/create"
LOOKUP = "auth/token/lookup"


def made(name: str, **body: object) -> list[Step]:
    """Creates a token from the root token, captures it as `name`, and looks it up."""
    save = (f"{name}:auth.client_token", f"{name}_acc:auth.accessor")
    return [post(CREATE, body, save=save), post(LOOKUP, {"token": f"{{{name}}}"})]


VARIANTS = [
    *made("plain"),
    *made("ttl", ttl="1h"),
    *made("seconds", ttl=90),
    *made("capped", ttl="9000h"),
    *made("max", ttl="1h", explicit_max_ttl="2h"),
    *made("maxed", ttl="3h", explicit_max_ttl="2h"),
    *made("onlymax", explicit_max_ttl="2h", policies=["default"]),
    *made("period", period="1h", policies=["default"]),
    *made("both", period="1h", explicit_max_ttl="30m", policies=["default"]),
    *made("fixed", renewable=False, ttl="1h"),
    *made("uses", num_uses=3, ttl="1h", policies=["default"]),
    *made("orphan", no_parent=True, ttl="1h"),
    *made("named", display_name="Ünï c/ode name!", ttl="1h"),
    *made("empty_name", display_name="", ttl="1h"),
    *made("meta", meta={"a": "b", "c": "d"}, ttl="1h"),
    *made("policies", policies=["Beta", "alpha", "alpha", " gamma "], ttl="1h"),
    *made("rooted", policies=["p1", "root"]),
    *made("nodefault", policies=["p1"], no_default_policy=True, ttl="1h"),
    *made("dropped", policies=["default"], no_default_policy=True, ttl="1h"),
    *made("dropped2", policies=["default", "p1"], no_default_policy=True, ttl="1h"),
    *made("justdefault", policies=["default"], ttl="1h"),
    *made("emptied", policies=[], no_default_policy=True, ttl="1h"),
    *made("empty_string", policies=[""], ttl="1h"),
    *made("typed", type="service", ttl="1h"),
    *made("lease", lease="1h", policies=["default"]),
]

BAD_CREATION = [
    post(CREATE, {"ttl": "-1h"}),
    post(CREATE, {"ttl": -5}),
    post(CREATE, {"explicit_max_ttl": "-1h"}),
    post(CREATE, {"period": "-1h"}),
    post(CREATE, {"num_uses": -1}),
    post(CREATE, {"type": "bogus"}),
    post(CREATE, {"type": "default-service"}),
    post(CREATE, {"id": "has.dot"}),
    post(CREATE, {"id": "s.prefixed"}),
    post(CREATE, {"id": "has space"}),
    post(CREATE, {"policies": ["response-wrapping"]}),
    post(CREATE, {"policies": ["control-group"]}),
    post(CREATE, {"entity_alias": "x"}),
    post(CREATE, {"period": "abc"}, divergence="DV-02"),
    post(CREATE + "/norole", {}),
    put(CREATE, {"ttl": "1h"}),
    post("auth/token/create-orphan", {"ttl": "1h"}),
    post(CREATE, {"policies": ["nobody-wrote-it"], "ttl": "90000h", "colour": "red", "shade": 1}),
    post(
        "sys/tools/random/4/seal", {"source": "all", "colour": "red"}, pick=("warnings",), divergence="DV-02"
    ),
    post(CREATE, {"id": "tokens-custom-id", "ttl": "1h"}),
    post(CREATE, {"id": "tokens-custom-id", "ttl": "1h"}),
    get("auth/token/lookup-self", token="tokens-custom-id"),
    post(CREATE, b""),
    post(CREATE, b"null"),
]

LOOKUPS = [
    get(
        "auth/token/lookup-self",
        pick=("data.path", "data.policies", "data.ttl", "data.expire_time", "data.orphan"),
    ),
    post("auth/token/lookup-self", {}, pick=("data.path",)),
    get("auth/token/lookup-self"),
    post(LOOKUP, {}),
    get(LOOKUP),
    post(LOOKUP, {"token": "unknown"}),
    post(LOOKUP, {"token": ""}),
    get(LOOKUP + "/{root}"),
    login("child", "default", ttl="1h"),
    get("auth/token/lookup-self", token="{child}"),
    get(LOOKUP, token="{child}"),
    post(LOOKUP, {"token": "{root}"}, token="{child}"),
    post("auth/token/lookup-accessor", {"accessor": "{child_acc}"}),
    post("auth/token/lookup-accessor", {"accessor": "unknown"}),
    post("auth/token/lookup-accessor", {}),
    post("auth/token/lookup-accessor", {"accessor": "{child_acc}"}, token="{child}"),
    post("auth/token/lookup-accessor/{child_acc}", {}),
    lst("auth/token/accessors", unordered=("data.keys",), pick=("lease_id",)),
    lst("auth/token/accessors", token="{child}"),
    get("auth/token/lookup-self", token=""),
    get("auth/token/lookup-self", token="bad"),
]

RENEWAL = [
    login("t", "default", ttl="1h"),
    post("auth/token/renew-self", {}, token="{t}"),
    post("auth/token/renew-self", {"increment": "2h"}, token="{t}"),
    post(LOOKUP, {"token": "{t}"}),
    post("auth/token/renew-self", {"increment": 60}, token="{t}"),
    post("auth/token/renew-self", {"increment": "bad"}, token="{t}", divergence="DV-02"),
    post("auth/token/renew-self", {"increment": "-60"}, token="{t}", divergence="DV-02"),
    post("auth/token/renew", {"token": "{t}", "increment": "30m"}),
    post("auth/token/renew/{t}", {}),
    post("auth/token/renew", {"token": "unknown"}),
    post("auth/token/renew", {"token": ""}),
    post("auth/token/renew", {}),
    post("auth/token/renew-accessor", {"accessor": "{t_acc}", "increment": "45m"}),
    post("auth/token/renew-accessor", {"accessor": "unknown"}),
    post("auth/token/renew-accessor", {}),
    post("auth/token/renew", {"token": "{t}"}, token="{t}"),
    post("auth/token/renew", {"token": "{t}", "increment": "9000h"}),
    login("fixed", "default", ttl="1h", renewable=False),
    post("auth/token/renew", {"token": "{fixed}"}),
    post("auth/token/renew-self", {}, token="{fixed}"),
    login("maxed", "default", ttl="1h", explicit_max_ttl="2h"),
    post("auth/token/renew", {"token": "{maxed}", "increment": "5h"}),
    login("periodic", "default", period="1h"),
    post("auth/token/renew", {"token": "{periodic}", "increment": "5h"}),
    post(LOOKUP, {"token": "{periodic}"}),
    login("both", "default", period="1h", explicit_max_ttl="90m"),
    post("auth/token/renew", {"token": "{both}"}),
    post(CREATE, {"ttl": "1h"}, save=("rooted:auth.client_token",)),
    post("auth/token/renew", {"token": "{rooted}", "increment": "3h"}),
    post("auth/token/renew-self", {}),
    post("auth/token/renew-self", {}, token=""),
]

USES = [
    login("u", "default", ttl="1h", num_uses=3),
    get("auth/token/lookup-self", token="{u}"),
    get("auth/token/lookup-self", token="{u}"),
    get("auth/token/lookup-self", token="{u}"),
    get("auth/token/lookup-self", token="{u}"),
    login("v", "default", ttl="1h", num_uses=1),
    get("nope/x", token="{v}"),
    get("auth/token/lookup-self", token="{v}"),
    policy("tokens-make", 'path "auth/token/create" { capabilities = ["update"] }'),
    login("w", "tokens-make", ttl="1h", num_uses=2),
    post(CREATE, {"ttl": "1m"}, token="{w}"),
    post(LOOKUP, {"token": "{w}"}),
    post("auth/token/renew", {"token": "{w}"}),
    post("auth/token/revoke", {"token": "{w}"}),
]

SCENARIOS = [
    Scenario("tokens", "variants", VARIANTS),
    Scenario("tokens", "bad-creation", BAD_CREATION),
    Scenario("tokens", "lookups", LOOKUPS),
    Scenario("tokens", "renewal", RENEWAL),
    Scenario("tokens", "uses", USES),
]
