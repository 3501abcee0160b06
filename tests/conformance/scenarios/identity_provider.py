# SPDX-License-Identifier: EUPL-1.2
"""The OpenID Connect provider: clients and what they may ask, consent, codes, tokens and claims."""

from collections.abc import Mapping
from urllib.parse import urlencode

from tests.conformance.scenario import Scenario, Step, delete, get, lst, patch, post, step
from tests.conformance.scenarios.identity import home
from tests.conformance.scenarios.userpass import hashed

B = "idq/identity/oidc/"
BACK = "https://a.example/cb"
CHALLENGE = "4vCLjrFlFOQ3Ik1qBRV0AdCPKlTHHmJGbh5uSTRVFfE"
VERIFIER = "v" * 50

KINDS = [
    *home("idq"),
    get(B + "provider/default"),
    lst(B + "provider"),
    lst(B + "client"),
    lst(B + "assignment"),
    get(B + "assignment/allow_all"),
    lst(B + "scope"),
    *(get(f"{B}{kind}/none") for kind in ("client", "scope", "assignment", "provider")),
    post(B + "assignment/a1", {}),
    get(B + "assignment/a1"),
    post(B + "assignment/a1", {"entity_ids": ["x"], "group_ids": ["zz"]}),
    get(B + "assignment/a1"),
    post(B + "assignment/allow_all", {}),
    delete(B + "assignment/allow_all"),
    delete(B + "assignment/none"),
    post(B + "scope/s1", {}),
    get(B + "scope/s1"),
    post(B + "scope/openid", {}),
    post(B + "scope/s1", {"template": "{bad"}, divergence="DV-02"),
    post(B + "scope/s1", {"template": '{"iss":"x"}'}),
    post(B + "scope/s1", {"template": '{"nm":{{identity.entity.name}}}', "description": "d"}),
    get(B + "scope/s1"),
    lst(B + "scope"),
    post(B + "client/c1", {"key": "nokey"}, divergence="DV-02"),
    post(B + "client/c1", {"client_type": "bogus"}, divergence="DV-02"),
    post(B + "client/c1", {}),
    get(B + "client/c1", shape=2),
    post(B + "client/c1", {"key": "k0"}),
    post(B + "client/c1", {"assignments": ["none"]}, divergence="DV-02"),
    post(B + "client/c1", {"id_token_ttl": "48h"}),
    post(
        B + "client/c1",
        {
            "redirect_uris": [BACK, "http://127.0.0.1/cb"],
            "assignments": ["allow_all"],
            "id_token_ttl": "1h",
            "access_token_ttl": "2h",
        },
    ),
    get(
        B + "client/c1",
        pick=(
            "data.redirect_uris",
            "data.assignments",
            "data.id_token_ttl",
            "data.access_token_ttl",
            "data.client_type",
            "data.key",
            "data.authorization_code",
            "data.client_credentials",
        ),
    ),
    lst(B + "client", shape=4),
    post(B + "client/c1", {"client_type": "public"}),
    post(B + "client/p1", {"client_type": "public", "assignments": ["a1"]}),
    get(B + "client/p1", pick=("data.client_type", "data.client_secret", "data.assignments")),
    delete(B + "assignment/a1"),
    delete(B + "key/default"),
    post(B + "provider/p", {"issuer": "bad"}),
    post(B + "provider/p", {"scopes_supported": ["none"]}, divergence="DV-02"),
    post(B + "provider/p", {"allowed_client_ids": ["none"]}),
    post(B + "provider/p", {"scopes_supported": ["s1"], "allowed_client_ids": ["*"]}),
    get(B + "provider/p"),
    post(B + "provider/q", {"issuer": "https://ex.com:8200"}),
    get(B + "provider/q"),
    lst(B + "provider", unordered=("data.keys",)),
    delete(B + "provider/default"),
    delete(B + "scope/s1"),
    delete(B + "provider/none"),
    delete(B + "provider/q"),
    get(B + "provider/p/.well-known/openid-configuration", token=""),
    get(B + "provider/none/.well-known/openid-configuration", token=""),
    get(B + "provider/p/authorize/client?client_id=none", token="", divergence="DV-67"),
    get(B + "provider/none/.well-known/keys", token=""),
    delete(B + "client/p1"),
    get(B + "client/p1"),
    delete(B + "assignment/a1"),
    delete(B + "client/none"),
]

R = "idr/identity/oidc/"
GOOD = {
    "client_id": "{cid}",
    "redirect_uri": BACK,
    "response_type": "code",
    "scope": "openid s1",
    "state": "st",
    "nonce": "no",
}


def consent(save: str = "", token: str = "{t}", **changed: str | None) -> Step:
    """Consents to a sign-in, and captures the code."""
    asked = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    query = urlencode(asked, safe="{}")
    if save:
        return get(f"{R}provider/p/authorize?{query}", token=token, shape=1, save=(f"{save}:code",))
    return get(f"{R}provider/p/authorize?{query}", token=token, shape=0)


def agreed(**changed: str | None) -> Step:
    """Consents to a sign-in that works; its code is not looked at."""
    asked = {name: value for name, value in {**GOOD, **changed}.items() if value is not None}
    return get(f"{R}provider/p/authorize?{urlencode(asked, safe='{}')}", token="{t}", shape=1)


def redeem(
    code: str | None, *, at: str = "p", shape: int = 0, save: tuple[str, ...] = (), **changed: str | None
) -> Step:
    """Redeems a code at a provider, with the client's id and secret in the body."""
    asked: Mapping[str, str | None] = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "client_id": "{cid}",
        "client_secret": "{secret}",
        **changed,
    }
    body = {name: value for name, value in asked.items() if value is not None}
    return post(f"{R}provider/{at}/token", body, token="", shape=shape, save=save)


SIGNING_IN = [
    *home("idr", "ra"),
    post(R + "scope/s1", {"template": '{"nm":{{identity.entity.name}}}'}),
    post(
        R + "client/c1",
        {
            "redirect_uris": [BACK, "http://127.0.0.1/cb"],
            "assignments": ["allow_all"],
            "access_token_ttl": "2h",
        },
    ),
    get(R + "client/c1", shape=2, save=("cid:data.client_id", "secret:data.client_secret")),
    post(R + "client/pub", {"client_type": "public", "redirect_uris": [BACK], "assignments": ["allow_all"]}),
    get(R + "client/pub", shape=2, save=("pub:data.client_id",)),
    post(R + "client/shut", {"redirect_uris": [BACK]}),
    get(R + "client/shut", shape=2, save=("shut:data.client_id",)),
    post(R + "provider/p", {"scopes_supported": ["s1"], "allowed_client_ids": ["*"]}),
    post(R + "provider/narrow", {"allowed_client_ids": ["none"]}),
    post("idr/auth/ra/users/ann", {**hashed("p"), "token_policies": "default"}),
    post(
        "idr/auth/ra/login/ann", {"password": "p"}, token="", save=("t:auth.client_token", "e:auth.entity_id")
    ),
    post("idr/identity/entity/id/{e}", {"name": "ann"}),
    consent("c0"),
    consent(client_id=None),
    consent(client_id="zz"),
    consent(redirect_uri=None),
    consent(redirect_uri="https://evil"),
    consent(redirect_uri=BACK + "/more"),
    consent(response_type=None),
    consent(response_type="token"),
    consent(scope=None),
    consent(scope="s1"),
    agreed(scope="openid unknown"),
    agreed(state=None),
    agreed(nonce=None),
    agreed(redirect_uri="http://127.0.0.1:9999/cb"),
    consent(redirect_uri="http://127.0.0.1:9999/other"),
    consent(max_age="-1"),
    consent(max_age="0"),
    consent(max_age="zz"),
    agreed(max_age="3600"),
    consent(request="x"),
    consent(request_uri="x"),
    consent(code_challenge="abc"),
    consent(code_challenge="a" * 43, code_challenge_method="bogus"),
    consent(client_id="{pub}"),
    consent(client_id="{shut}"),
    consent(token="{root}"),
    consent(token=""),
    get(f"{R}provider/narrow/authorize?{urlencode(GOOD, safe='{}')}", token="{t}"),
    get(f"{R}provider/none/authorize?{urlencode(GOOD, safe='{}')}", token="{t}"),
    post(R + "provider/p/authorize", GOOD, token="{t}", shape=1),
    redeem("{c0}", shape=1, save=("at:access_token", "it:id_token")),
    redeem("{c0}"),
    redeem("bad"),
    redeem(None),
    redeem("x", grant_type="x"),
    redeem("x", grant_type=None),
    redeem("x", client_secret="wrong"),
    redeem("x", client_id="zz"),
    redeem("x", client_id=None),
    *(
        post(R + "provider/p/token", {"grant_type": "x", **body}, token="", headers={"Authorization": given})
        for given in ("Basic", "Basic x", "Basic YWI=", "Basic YTpi", "basic YTpi", "BASIC YTpi", "Bearer x")
        for body in ({}, {"client_id": "{cid}", "client_secret": "{secret}"})
    ),
    post(R + "client/pub", {"client_credentials": True}),
    post(R + "client/pub", {"client_credentials": True, "key": "none"}),
    post(R + "client/pub2", {"client_credentials": True, "client_type": "public", "id_token_ttl": "90h"}),
    post(R + "client/pub2", {"client_credentials": True, "client_type": "public"}),
    get(R + "client/pub2"),
    consent("c9", client_id="{pub}", code_challenge=VERIFIER),
    redeem("{c9}", client_id="{pub}", client_secret="any", code_verifier=VERIFIER, shape=1),
    redeem("x", at="narrow"),
    redeem("x", at="none"),
    post(R + "key/kept", {"algorithm": "ES256", "allowed_client_ids": ["other"]}),
    post(
        R + "client/kept",
        {"key": "kept", "redirect_uris": [BACK], "assignments": ["allow_all"], "client_credentials": True},
    ),
    get(R + "client/kept", shape=2, save=("kept:data.client_id", "ksecret:data.client_secret")),
    consent("c8", client_id="{kept}"),
    redeem("{c8}", client_id="{kept}", client_secret="wrong"),
    *(
        redeem("{c8}", client_id="{kept}", client_secret="{ksecret}", at=at, grant_type=kind, scope="openid")
        for at in ("p", "narrow")
        for kind in ("authorization_code", "client_credentials", "x")
    ),
    post(R + "key/kept", {"allowed_client_ids": ["{kept}"]}),
    redeem("{c8}", client_id="{kept}", client_secret="{ksecret}", shape=1),
    consent("c1"),
    redeem("{c1}", redirect_uri="https://other"),
    consent("c2"),
    redeem("{c2}", redirect_uri=None),
    consent("c3"),
    redeem("{c3}", code_verifier=VERIFIER),
    consent("c4", code_challenge=CHALLENGE, code_challenge_method="S256"),
    redeem("{c4}"),
    consent("c5", code_challenge=CHALLENGE, code_challenge_method="S256"),
    redeem("{c5}", code_verifier="w" * 50),
    consent("c6", code_challenge=VERIFIER, code_challenge_method="plain"),
    redeem("{c6}", shape=1, code_verifier=VERIFIER),
    consent("c7", client_id="{pub}", code_challenge=VERIFIER, code_challenge_method="plain"),
    redeem("{c7}", code_verifier=VERIFIER),
    get(R + "provider/p/userinfo", token="", headers={"Authorization": "Bearer {at}"}),
    post(R + "provider/p/userinfo", {}, token="", headers={"Authorization": "Bearer {at}"}),
    get(R + "provider/p/userinfo", token="", headers={"Authorization": "Bearer bad"}),
    get(R + "provider/p/userinfo", token=""),
    *(
        get(R + "provider/p/userinfo", token=sent, headers={"Authorization": given})
        for sent, given in (
            ("{at}", "Bearer {at}"),
            ("{at}", ""),
            ("{root}", ""),
            ("{at}", "Bearer bad"),
            ("", "bearer {at}"),
            ("", "Token {at}"),
            ("", "Bearer"),
            ("", "Bearer  {at}"),
            ("", "Bearer {t}"),
            ("", "Bearer {it}"),
        )
    ),
    *(
        get(R + "provider/p/userinfo", token=sent, headers={"Authorization": given}, divergence="DV-69")
        for sent, given in (("bad", "Bearer {at}"), ("", "Bearer {root}"))
    ),
    *(
        step(verb, R + f"provider/{name}/userinfo", token="", headers={"Authorization": given})
        for verb in ("DELETE", "HEAD")
        for name, given in (("p", ""), ("p", "Bearer {at}"), ("p", "Bearer bad"), ("none", ""))
    ),
    *(patch(R + "provider/p/userinfo", {}, token=given) for given in ("", "bad", "{at}")),
    *(step(verb, R + "provider/p/userinfo", divergence="DV-69") for verb in ("DELETE", "HEAD")),
    post(R + "provider/p/userinfo", {"access_token": "{at}"}, token=""),
    get(R + "provider/p/userinfo?access_token={at}", token=""),
    get(R + "provider/narrow/userinfo", token="", headers={"Authorization": "Bearer {at}"}),
    get(R + "provider/none/userinfo", token="", headers={"Authorization": "Bearer {at}"}),
    get("identity/oidc/provider/default/userinfo", token="", headers={"Authorization": "Bearer {at}"}),
    get(R + "provider/p/.well-known/keys", token="", shape=1),
    get(R + "provider/p/.well-known/keys", token="", shape=1, headers={"If-None-Match": "x"}),
    step("HEAD", R + "provider/p/.well-known/openid-configuration", token=""),
    step("OPTIONS", R + "provider/p/.well-known/keys", token=""),
    get("idr/sys/mounts", token="{at}"),
    get("idr/auth/token/lookup-self", token="{at}"),
    redeem(None, redirect_uri=None, grant_type="client_credentials"),
    post(R + "client/c1", {"client_credentials": True}),
    redeem(None, redirect_uri=None, grant_type="client_credentials"),
    redeem(None, redirect_uri=None, grant_type="client_credentials", scope="s1"),
    redeem(None, redirect_uri=None, grant_type="client_credentials", scope="openid s1", shape=1),
    post("idr/identity/entity/id/{e}", {"disabled": True}),
    get(R + "provider/p/userinfo", token="", headers={"Authorization": "Bearer {at}"}),
    post("idr/identity/entity/id/{e}", {"disabled": False}),
    delete(R + "client/c1"),
    get(R + "provider/p/userinfo", token="", headers={"Authorization": "Bearer {at}"}),
]

SCENARIOS = [
    Scenario("identity-provider", "kinds", KINDS),
    Scenario("identity-provider", "signing-in", SIGNING_IN),
]
