# SPDX-License-Identifier: EUPL-1.2
"""oidc: providers with ways of their own, and how each tells the groups of who signs in."""

from collections.abc import Sequence

from tests.conformance.scenario import Scenario, Step, delete, get, post
from tests.conformance.scenarios.approle import AUTH
from tests.conformance.scenarios.jwt import mount
from tests.conformance.scenarios.oidc import CONFIG, HOME, KEPT
from tests.tokens import KEY, pem, token

MOUNT = "oidc-providers"
AT = f"auth/{MOUNT}/oidc/"
CONF = f"auth/{MOUNT}/config"
STATIC = {"jwt_validation_pubkeys": pem(KEY)}


def group(name: str) -> Sequence[Step]:
    """An external group with an alias of its name on the mount."""
    body = {"name": f"{MOUNT}-{name}", "type": "external", "policies": f"of-{name}"}
    alias = {"name": name, "mount_accessor": "{accessor}", "canonical_id": f"{{group_{name}}}"}
    return [
        post("identity/group", body, save=(f"group_{name}:data.id",)),
        post("identity/group-alias", alias),
    ]


def enter(code: str, **options: object) -> Sequence[Step]:
    """A whole sign-in."""
    body = {"role": "main", "redirect_uri": HOME, "client_nonce": "cn"}
    where = f"{AT}callback?state={{state}}&code={code}.{{nonce}}&client_nonce=cn"
    return [
        post(AT + "auth_url", body, token="", save=KEPT),
        get(where, **{"token": "", "pick": AUTH, **options}),
    ]


def settings(given: object, divergence: str = "", **config: object) -> Sequence[Step]:
    """Configures with settings of a provider, and shows what became of it."""
    body = {**(config or CONFIG), "provider_config": given}
    return [post(CONF, body, divergence=divergence), get(CONF)]


def everybody(provider: str, missing: str = "") -> Sequence[Step]:
    """Sign-ins at a provider whose groups are told in different ways, or not at all."""
    return [
        *settings({"provider": provider} if provider else {}),
        *(one for code in ("text", "one", "list") for one in enter(code)),
        *(one for code in ("over", "good") for one in enter(code, divergence=missing)),
    ]


STEPS = [
    mount(MOUNT, "oidc"),
    get(f"sys/auth/{MOUNT}", save=("accessor:data.accessor",), pick=("type",)),
    *group("x"),
    *group("y"),
    *group("z"),
    post(
        f"auth/{MOUNT}/role/main",
        {"user_claim": "sub", "allowed_redirect_uris": HOME, "groups_claim": "roles"},
    ),
    *everybody(""),
    *everybody("azure", "DV-64"),
    *everybody("secureauth"),
    *everybody("ibmisam"),
    *settings({"provider": "azure", "x": "y"}),
    *(one for name in ("Azure", "", "okta") for one in settings({"provider": name}, "DV-02")),
    *(one for given in ({"provider": 5}, {"provider": None}, {"a": "b"}) for one in settings(given)),
    *settings("x"),
    *settings({"provider": "azure"}, jwks_url="{service}/keys"),
    *settings({"provider": "ibmisam"}, oidc_discovery_url="{service}"),
    *settings({"provider": "x"}, "DV-02", **STATIC),
    *settings({"provider": "secureauth"}, **STATIC),
    post(
        f"auth/{MOUNT}/role/jwt",
        {"role_type": "jwt", "user_claim": "sub", "bound_subject": "alice", "groups_claim": "/in/roles"},
    ),
    *(
        post(
            f"auth/{MOUNT}/login",
            {"role": "jwt", "jwt": token({"sub": "alice", "exp": 9999999999, "in": {"roles": roles}})},
            token="",
            pick=AUTH,
        )
        for roles in ("x,y", "z", ["x", "z"], 5, "")
    ),
    *settings({"provider": "azure"}, bound_issuer="x"),
    *settings({"provider": "gsuite"}, "DV-64"),
    *settings({"provider": "kubernetes"}),
    *settings({"provider": "kubernetes"}, "DV-64", bound_issuer="x"),
    delete(f"sys/auth/{MOUNT}"),
    *(delete(f"identity/group/id/{{group_{name}}}") for name in ("x", "y", "z")),
]

SCENARIOS = [Scenario("oidc", MOUNT, STEPS)]
