# SPDX-License-Identifier: EUPL-1.2
"""Clients of our OpenID provider send people to a page of ours: they sign in there, without a script, and come back."""

import json
import re
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import hvac
import pytest
import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jwt
from joserfc.jwk import KeySet

from tests.integration.coffre import Place
from tests.integration.openid import visit
from tests.integration.processes import PATIENCE
from tests.onetime import code, wrong_code

pytestmark = pytest.mark.parametrize("kind", ["coffre"])
BACK = "https://them.example/back"
PASSWORD = "c0rrect"


class Site:
    """A client of a provider of ours; `ann` may sign in to it. Everything is called `name`."""

    def __init__(self, place: Place, root: hvac.Client, name: str, back: str = BACK) -> None:
        self.place, self.name, self.back = place, name, back
        self.base = f"{place.address}/v1/identity/oidc/provider/{name}"
        path = f"identity/oidc/provider/{name}/authorize"
        root.sys.create_or_update_policy(name, f'path "{path}" {{ capabilities = ["read", "update"] }}')
        root.write(f"identity/oidc/client/{name}", redirect_uris=back, assignments="allow_all")
        root.write(f"identity/oidc/provider/{name}", allowed_client_ids="*")
        root.sys.enable_auth_method("userpass", path=name)
        root.write(f"auth/{name}/users/ann", password=PASSWORD, token_policies=name)
        client = root.read(f"identity/oidc/client/{name}")["data"]
        self.session = OAuth2Session(
            client["client_id"], client["client_secret"], scope="openid", redirect_uri=back
        )
        self.session.verify, self.session.trust_env = str(place.authority), False
        self.found = self.session.request(
            "GET", f"{self.base}/.well-known/openid-configuration", withhold_token=True
        ).json()
        self.verifier, self.nonce = generate_token(48), generate_token()

    def url(self, **more: str) -> str:
        """Where the client sends people."""
        url, self.state = self.session.create_authorization_url(
            self.found["authorization_endpoint"],
            nonce=self.nonce,
            code_challenge=create_s256_code_challenge(self.verifier),
            code_challenge_method="S256",
            **more,
        )
        return str(url)

    def get(self, url: str) -> requests.Response:
        """Open a page."""
        return requests.get(url, verify=str(self.place.authority), allow_redirects=False, timeout=PATIENCE)

    def fill(
        self, page: requests.Response, headers: Mapping[str, str] | None = None, **given: str
    ) -> requests.Response:
        """Send a page's form with these fields."""
        inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
        fields = {name: unescape(value) for name, value in inputs}
        return requests.post(
            page.url,
            data={"mount": self.name, "action": "allow", **fields, **given},
            headers={"Origin": self.place.address, **(headers or {})},
            verify=str(self.place.authority),
            allow_redirects=False,
            timeout=PATIENCE,
        )

    def redeem(self, location: str) -> dict[str, Any]:
        """Redeem the code that came back; return the claims of the ID token."""
        tokens = self.session.fetch_token(
            self.found["token_endpoint"],
            authorization_response=location,
            state=self.state,
            code_verifier=self.verifier,
        )
        keys = requests.get(self.found["jwks_uri"], verify=str(self.place.authority), timeout=PATIENCE).json()
        claims: dict[str, Any] = jwt.decode(tokens["id_token"], KeySet.import_key_set(keys)).claims
        return claims


@pytest.fixture
def site(place: Place, root: hvac.Client, name: str) -> Iterator[Site]:
    made = Site(place, root, name)
    yield made
    made.session.close()


def test_authlib_completes_the_code_flow_at_the_endpoints_that_discovery_names(
    site: Site, root: hvac.Client
) -> None:
    page = site.get(site.url())
    assert (page.status_code, site.name in page.text, "them.example" in page.text) == (200, True, True)
    back = site.fill(page, username="ann", password=PASSWORD)
    assert back.status_code == 303
    assert back.headers["location"].startswith(f"{BACK}?code=")
    claims = site.redeem(back.headers["location"])
    assert (claims["nonce"], claims["aud"]) == (site.nonce, site.session.client_id)
    entity = root.read(f"identity/entity/id/{claims['sub']}")["data"]
    assert [alias["name"] for alias in entity["aliases"]] == ["ann"]


def test_the_page_has_no_script_and_can_be_neither_framed_nor_kept(site: Site) -> None:
    page = site.get(site.url(state='"><script>alert(1)</script>'))
    assert "<script" not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "same-origin"
    assert "set-cookie" not in page.headers
    policy = dict(one.strip().split(" ", 1) for one in page.headers["content-security-policy"].split(";"))
    assert policy.pop("style-src").startswith("'sha256-")
    assert policy == {
        "default-src": "'none'",
        "form-action": "'self' https://them.example",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    back = site.fill(page, username="ann", password=PASSWORD)
    assert parse_qs(urlsplit(back.headers["location"]).query)["state"] == ['"><script>alert(1)</script>']


@pytest.mark.parametrize(
    "given",
    [
        {"username": "ann", "password": "wr0ng"},
        {"username": "nobody", "password": PASSWORD},
        {"username": "", "password": PASSWORD},
        {"username": "../ann", "password": PASSWORD},
        {"username": "ann", "password": PASSWORD, "mount": "../../sys"},
        {"token": "no token"},
    ],
    ids=["password", "stranger", "nameless", "climber", "mount", "token"],
)
def test_wrong_credentials_stay_on_the_page_and_come_back_in_none_of_it(
    site: Site, given: dict[str, str]
) -> None:
    refused = site.fill(site.get(site.url()), None, **given)
    assert refused.status_code == 403
    assert "location" not in refused.headers
    assert 'class="problem"' in refused.text
    assert not re.search(f"{PASSWORD}|wr0ng|no token", refused.text)


def test_whoever_may_not_sign_in_to_the_application_is_told_so(site: Site, root: hvac.Client) -> None:
    root.write(f"identity/oidc/client/{site.name}", redirect_uris=BACK, assignments="")
    refused = site.fill(site.get(site.url()), username="ann", password=PASSWORD)
    assert (refused.status_code, "not authorized by client assignment" in refused.text) == (403, True)


def test_refusals_are_told_at_addresses_of_the_client_and_nowhere_else(site: Site) -> None:
    def told(url: str) -> tuple[int, dict[str, list[str]]]:
        answer = site.get(url)
        return answer.status_code, parse_qs(urlsplit(answer.headers.get("location", "")).query)

    url = site.url()
    silent = told(url + "&prompt=none")
    assert silent == (303, {"error": ["login_required"], "state": [site.state]})
    cancelled = site.fill(site.get(url), action="deny")
    assert cancelled.headers["location"] == f"{BACK}?error=access_denied&state={site.state}"
    status, wrong = told(url.replace("scope=openid", "scope=other"))
    assert (status, wrong["error"]) == (303, ["invalid_request"])
    for part, other in (
        ("them.example", "evil.example"),
        ("them.example", "them.example%40evil.example"),
        ("%2Fback", "%2Fback%2F..%2Felse"),
        ("%2Fback", "%2Fback%23part"),
        (str(site.session.client_id), "nobody"),
    ):
        assert part in url
        assert told(url.replace(part, other)) == (400, {})
    assert told(f"{url}&client_id=twice") == (400, {})
    assert told(url.replace("/identity/oidc/provider/", "/sys/")) == (404, {})


def test_a_form_that_another_site_sends_is_not_taken(site: Site) -> None:
    page = site.get(site.url())
    for fetched in ("cross-site", "same-site"):
        refused = site.fill(page, {"Sec-Fetch-Site": fetched}, username="ann", password=PASSWORD)
        assert refused.status_code == 400
    assert site.fill(page, {"Content-Type": "text/plain"}, username="ann").status_code == 400
    assert site.fill(page, username="x" * 70_000).status_code == 400


def test_the_token_of_a_login_on_the_page_is_gone_and_anothers_own_is_not(
    site: Site, root: hvac.Client
) -> None:
    before = set(root.list("auth/token/accessors")["data"]["keys"])
    assert site.fill(site.get(site.url()), username="ann", password=PASSWORD).status_code == 303
    after = set(root.list("auth/token/accessors")["data"]["keys"])
    assert after <= before  # some that other tests made may have ended meanwhile
    own = root.write(f"auth/{site.name}/login/ann", password=PASSWORD)["auth"]["client_token"]
    back = site.fill(site.get(site.url()), token=own)
    assert back.status_code == 303
    assert site.redeem(back.headers["location"])["aud"] == site.session.client_id
    assert root.lookup_token(own)["data"]["display_name"] == f"{site.name}-ann"


def test_a_second_factor_is_asked_for_on_a_page_of_its_own(site: Site, root: hvac.Client) -> None:
    secret = _enforce(root, site.name)
    page = site.fill(site.get(site.url()), username="ann", password=PASSWORD)
    assert (page.status_code, "One-time code" in page.text) == (200, True)
    assert site.fill(page, passcode=wrong_code(secret)).status_code == 403
    page = site.fill(site.get(site.url()), username="ann", password=PASSWORD)
    back = site.fill(page, passcode=code(secret))
    assert back.status_code == 303
    assert site.redeem(back.headers["location"])["nonce"] == site.nonce


def test_chromium_signs_somebody_in_and_takes_the_code_to_the_client(
    place: Place, root: hvac.Client, name: str, tmp_path: Path
) -> None:
    site = Site(place, root, name, back=f"{place.address}/v1/sys/health")
    wrong = {"press": "Sign in", "fill": {"username": "ann", "password": "wr0ng", "mount": name}}
    right = {"press": "Sign in", "fill": {"username": "ann", "password": PASSWORD, "mount": name}}
    seen = visit(
        site.url(), {"open": "Other ways", **wrong}, {"open": "Other ways", **right}, folder=tmp_path
    )
    assert [page["title"] for page in seen.pages[:2]] == ["Sign in", "Sign in"]
    assert "That was not right; try again." in seen.pages[1]["text"]
    assert json.loads(seen.pages[2]["text"])["sealed"] is False
    assert site.redeem(seen.pages[2]["url"])["nonce"] == site.nonce
    assert [one for one in seen.complaints if "403" not in one] == []
    site.session.close()


def _enforce(root: hvac.Client, name: str) -> str:
    """Demand a one-time code of `ann`; return the secret that it is made of."""
    entity = root.write(f"auth/{name}/login/ann", password=PASSWORD)["auth"]["entity_id"]
    method = root.write("identity/mfa/method/totp", issuer="Coffre")["data"]["method_id"]
    made = root.write("identity/mfa/method/totp/admin-generate", method_id=method, entity_id=entity)["data"][
        "url"
    ]
    root.write(
        f"identity/mfa/login-enforcement/{name}", mfa_method_ids=[method], identity_entity_ids=[entity]
    )
    return str(parse_qs(urlsplit(made).query)["secret"][0])
