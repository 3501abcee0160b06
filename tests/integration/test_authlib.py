# SPDX-License-Identifier: EUPL-1.2
"""Authlib, a stock OpenID Connect client, signs somebody in at our provider: discovery, PKCE, code, tokens, claims."""

from typing import Any

import hvac
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.integration.coffre import Place
from tests.integration.processes import PATIENCE

BACK = "https://them.example/back"


def test_a_stock_client_signs_somebody_in_with_pkce(place: Place, root: hvac.Client, name: str) -> None:
    client = _furnished(root, name)
    root.sys.enable_auth_method("userpass", path=name)
    root.write(f"auth/{name}/users/ann", password="p", token_policies=name)
    signed_in = root.write(f"auth/{name}/login/ann", password="p")["auth"]
    base = f"{place.address}/v1/identity/oidc/provider/{name}"
    found = requests.get(
        f"{base}/.well-known/openid-configuration", verify=str(place.authority), timeout=PATIENCE
    ).json()
    assert found["issuer"] == base

    session = OAuth2Session(
        client["client_id"], client["client_secret"], scope="openid who", redirect_uri=BACK
    )
    session.verify, session.trust_env = str(place.authority), False
    verifier, nonce = generate_token(48), generate_token()
    url, state = session.create_authorization_url(
        f"{base}/authorize",
        nonce=nonce,
        code_challenge=create_s256_code_challenge(verifier),
        code_challenge_method="S256",
    )
    consent = requests.get(
        url,
        headers={"X-Vault-Token": signed_in["client_token"]},
        verify=str(place.authority),
        timeout=PATIENCE,
    ).json()
    assert consent["state"] == state
    tokens = session.fetch_token(
        found["token_endpoint"], code=consent["code"], code_verifier=verifier, grant_type="authorization_code"
    )
    keys = requests.get(found["jwks_uri"], verify=str(place.authority), timeout=PATIENCE).json()
    checked = jwt.decode(tokens["id_token"], KeySet.import_key_set(keys), algorithms=["RS256"])
    claims = CodeIDToken(
        checked.claims,
        checked.header,
        {"iss": {"value": base}, "aud": {"value": client["client_id"]}},
        {"nonce": nonce, "client_id": client["client_id"], "access_token": tokens["access_token"]},
    )
    claims.validate()
    shown = session.get(found["userinfo_endpoint"]).json()
    assert shown["sub"] == claims["sub"] == signed_in["entity_id"]
    assert shown["who"] == claims["who"]
    session.close()


def _furnished(root: hvac.Client, name: str) -> Any:
    """Make a scope, a client and a provider that are called `name`, and a policy for those who consent."""
    path = f"identity/oidc/provider/{name}/authorize"
    root.sys.create_or_update_policy(name, f'path "{path}" {{ capabilities = ["read", "update"] }}')
    root.write("identity/oidc/scope/who", template='{"who":{{identity.entity.name}}}')
    root.write(f"identity/oidc/client/{name}", redirect_uris=BACK, assignments="allow_all")
    root.write(f"identity/oidc/provider/{name}", scopes_supported="who", allowed_client_ids="*")
    return root.read(f"identity/oidc/client/{name}")["data"]
