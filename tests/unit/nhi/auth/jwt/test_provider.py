# SPDX-License-Identifier: EUPL-1.2
"""Tokens in the shapes that Keycloak, GitHub Actions and GitLab CI give them, with the roles of docs/logins.md."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.tokens import KEY, jwk, token
from tests.unit.nhi.auth.house import auth, play
from tests.unit.nhi.auth.jwt.house import JwtHouse, opened
from tests.unit.outbound.service import service

GUIDE = (Path(__file__).parents[5] / "docs" / "logins.md").read_text(encoding="utf-8")
KEYCLOAK: dict[str, Any] = {
    "jti": "onrtac:8a2c6f0e-52c1-4f7e-9a0f-0c2f4f1f2f3d",
    "aud": ["vault", "account"],
    "sub": "f3a1c7c2-6f0a-4a39-8a35-7e5f2f1e7d10",
    "typ": "Bearer",
    "azp": "billing",
    "acr": "1",
    "realm_access": {"roles": ["offline_access", "uma_authorization", "ops"]},
    "resource_access": {"vault": {"roles": ["reader"]}, "account": {"roles": ["manage-account"]}},
    "scope": "profile email",
    "clientHost": "10.0.0.7",
    "email_verified": False,
    "preferred_username": "service-account-billing",
    "client_id": "billing",
}
GITHUB: dict[str, Any] = {
    "jti": "6f1f",
    "sub": "repo:acme/shop:environment:production",
    "aud": "vault.example.org",
    "ref": "refs/heads/main",
    "sha": "0" * 40,
    "repository": "acme/shop",
    "repository_owner": "acme",
    "repository_owner_id": "77",
    "run_id": "1",
    "run_number": "5",
    "run_attempt": "1",
    "repository_visibility": "private",
    "repository_id": "123456",
    "actor_id": "12",
    "actor": "ada",
    "workflow": "deploy",
    "head_ref": "",
    "base_ref": "",
    "event_name": "push",
    "ref_protected": "true",
    "ref_type": "branch",
    "environment": "production",
    "runner_environment": "github-hosted",
}
GITLAB: dict[str, Any] = {
    "namespace_id": "9",
    "namespace_path": "acme",
    "project_id": "42",
    "project_path": "acme/shop",
    "user_id": "1",
    "user_login": "ada",
    "user_email": "ada@example.org",
    "pipeline_id": "1212",
    "pipeline_source": "push",
    "job_id": "3",
    "ref": "main",
    "ref_type": "branch",
    "ref_path": "refs/heads/main",
    "ref_protected": "true",
    "runner_environment": "self-hosted",
    "sub": "project_path:acme/shop:ref_type:branch:ref:main",
    "aud": "vault.example.org",
}


def documented(path: str) -> dict[str, Any]:
    """The role that the guide writes at `path`."""
    found = re.search(rf"write {re.escape(path)} - <<'END'\n(.*?)\nEND\n", GUIDE, re.DOTALL)
    assert found is not None, path
    role: dict[str, Any] = json.loads(found[1])
    return role


async def logged_in(house: JwtHouse, claims: dict[str, Any], **changes: Any) -> Any:
    times = {"iat": house.now, "nbf": house.now, "exp": house.now + 300, "iss": "https://issuer.example"}
    return await house.present(token({**claims, **times, **changes}, kid="one"))


CASES = [
    ("auth/oidc/role/services", KEYCLOAK, {"azp": "other"}, {"aud": ["account"]}),
    ("auth/github/role/deploy", GITHUB, {"repository_id": "654321"}, {"ref": "refs/pull/1/merge"}),
    ("auth/gitlab/role/deploy", GITLAB, {"ref_protected": "false"}, {"project_id": "43"}),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_the_roles_of_the_guide_let_in_whom_they_mean_and_nobody_else(
    case: tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]],
) -> None:
    async def scenario() -> None:
        house = await opened()
        path, claims, *others = case
        await house.jwt_role(**documented(path))
        assert auth(await logged_in(house, claims))["policies"][0] in {"default", "deploy"}
        for other in others:
            assert (await logged_in(house, claims, **other)).status == 400

    play(scenario)


def test_claims_inside_of_keycloaks_claims_are_reached_by_pointers() -> None:
    async def scenario() -> None:
        house = await opened()
        await house.jwt_role(
            bound_audiences="vault",
            bound_claims={"/realm_access/roles": ["ops"], "/resource_access/vault/roles": "reader"},
            claim_mappings={"/realm_access/roles/2": "realm_role", "client_id": "client"},
            groups_claim="/resource_access/vault/roles",
        )
        made = auth(await logged_in(house, KEYCLOAK))
        assert made["metadata"] == {"realm_role": "ops", "client": "billing", "role": "r"}
        assert (await logged_in(house, KEYCLOAK, realm_access={"roles": ["dev"]})).status == 400

    play(scenario)


@pytest.mark.loopback
def test_keycloaks_discovery_document_and_key_set_are_understood() -> None:
    async def scenario() -> None:
        house = await opened()
        async with service() as one:
            issuer = f"http://keycloak.test:{one.port}/realms/acme"
            base = f"{issuer}/protocol/openid-connect"
            document = {
                "issuer": issuer,
                "authorization_endpoint": f"{base}/auth",
                "token_endpoint": f"{base}/token",
                "userinfo_endpoint": f"{base}/userinfo",
                "jwks_uri": f"{base}/certs",
                "check_session_iframe": f"{base}/login-status-iframe.html",
                "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
                "claims_supported": ["aud", "sub", "iss", "auth_time", "name", "acr"],
                "mtls_endpoint_aliases": {"token_endpoint": f"{base}/token"},
                "frontchannel_logout_supported": True,
            }
            encryption = {
                "kid": "enc",
                "kty": "RSA",
                "alg": "RSA-OAEP",
                "use": "enc",
                "n": "AQAB",
                "e": "AQAB",
            }
            signing = jwk(KEY, kid="one", alg="ES256", use="sig", x5c=["AAAA"], x5t="zz")

            async def answer(writer: Any, head: bytes) -> None:
                path = head.split(b" ")[1]
                body = json.dumps({"keys": [encryption, signing]} if path.endswith(b"/certs") else document)
                writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

            one.behave = answer
            await house.configure(oidc_discovery_url=issuer)
            await house.jwt_role(bound_audiences="vault")
            assert (await logged_in(house, KEYCLOAK)).status == 200
            paths = [head.split(b" ")[1] for head in one.seen]
            assert paths == [
                b"/realms/acme/.well-known/openid-configuration",
                b"/realms/acme/protocol/openid-connect/certs",
                b"/realms/acme/protocol/openid-connect/certs",
            ]

    play(scenario)
