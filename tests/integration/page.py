# SPDX-License-Identifier: EUPL-1.2
"""A client that goes about the page for security teams as a browser does, and what it is given to look at."""

import re
from html import unescape
from typing import Any

import hvac
import requests

from tests.integration.coffre import Place
from tests.integration.lineage_estate import Estate
from tests.integration.processes import PATIENCE

COOKIE = "__Secure-coffre-ui"
LOOK = 'path "auth/token/lookup-self" { capabilities = ["read"] }'
READER = """
path "{mount}/workloads" {{ capabilities = ["list"] }}
path "{mount}/workloads/*" {{ capabilities = ["read"] }}
"""


class Browser:
    """What a browser does: it keeps cookies, and sends the forms that pages hold."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.session = requests.Session()
        self.session.verify, self.session.trust_env = str(place.authority), False

    def get(self, path: str, **fields: str) -> requests.Response:
        """Look at a page."""
        return self.session.get(f"{self.place.address}{path}", params=fields, timeout=PATIENCE)

    def post(self, path: str, headers: dict[str, str] | None = None, **fields: str) -> requests.Response:
        """Send a form, as a browser that says where it comes from."""
        url, sent = f"{self.place.address}{path}", {"Origin": self.place.address, **(headers or {})}
        return self.session.post(url, data=fields, headers=sent, timeout=PATIENCE, allow_redirects=False)

    def sign_in(self, token: str, **more: str) -> requests.Response:
        """Sign in, and go where that leads."""
        self.session.cookies.pop(COOKIE, None)
        answer = self.post("/ui/sign-in", None, **self.form(self.get("/ui/")), token=token, **more)
        return self.get("/ui/") if answer.status_code == 303 else answer

    def form(self, page: requests.Response) -> dict[str, str]:
        """The hidden fields of a page's forms."""
        inputs = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.text)
        return {key: unescape(value) for key, value in inputs}


def token_with(root: hvac.Client, name: str, policy: str, **more: Any) -> str:
    """A new token with a policy of its own."""
    root.sys.create_or_update_policy(name, policy)
    return str(root.auth.token.create(policies=[name], **more)["auth"]["client_token"])


def may(estate: Estate, token: str) -> bool:
    """Whether a token is taken at all."""
    client = hvac.Client(url=estate.root.url, token=token, verify=estate.root.adapter._kwargs["verify"])
    found = client.is_authenticated()
    client.adapter.close()
    return bool(found)
