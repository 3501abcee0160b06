# SPDX-License-Identifier: EUPL-1.2
"""What servers under test ask: an identity provider and a Kubernetes API, on loopback, the same for every server.

It holds no state: a path always answers the same, so that two servers that ask it can be compared.
"""

import base64
import json
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl

from tests import tokens
from tests.conformance.scenarios.cert import MUTE_LIST

Page = Callable[[str], tuple[int, object]]


def _discovery(base: str, issuer: str) -> Mapping[str, object]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{base}/authorize",
        "token_endpoint": f"{base}/token",
        "userinfo_endpoint": f"{base}/userinfo",
        "device_authorization_endpoint": f"{base}/device",
        "jwks_uri": f"{base}/keys",
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
    }


PAGES: Mapping[str, Page] = {
    "/keys": lambda _: (200, {"keys": [tokens.jwk(tokens.KEY, kid="one", use="sig", alg="ES256")]}),
    "/two-keys": lambda _: (200, {"keys": [tokens.jwk(tokens.OTHER, kid="o"), tokens.jwk(tokens.EDWARDS)]}),
    "/userinfo": lambda _: (200, {"sub": "alice", "groups": ["told"], "sub2": "x"}),
    "/api/v1/namespaces/ns1": lambda _: (200, {"metadata": {"name": "ns1", "labels": {"a": "b"}}}),
    "/no-keys": lambda _: (200, {"keys": []}),
    "/junk": lambda _: (200, "no keys here"),
    "/list-of-mute": lambda _: (200, MUTE_LIST.encode()),
    "/broken/keys": lambda _: (500, {"error": "down"}),
    "/.well-known/openid-configuration": lambda base: (200, _discovery(base, base)),
    "/other/.well-known/openid-configuration": lambda base: (200, _discovery(base, base)),
    "/keyless/.well-known/openid-configuration": lambda base: (200, {"issuer": f"{base}/keyless"}),
    "/junk/.well-known/openid-configuration": lambda _: (200, "no document here"),
}


ID_TOKENS: Mapping[str, Mapping[str, object]] = {
    "good": {"email": "alice@example.org"},
    "old": {"exp": 1},
    "early": {"iat": 1 << 40},
    "issuer": {"iss": "https://elsewhere.example"},
    "audience": {"aud": "other"},
    "several": {"aud": ["client", "other"]},
    "party": {"aud": ["client", "other"], "azp": "client"},
    "nonce": {"nonce": "n_other"},
    "nobody": {"sub": None},
    "bob": {"sub": "bob"},
    "aged": {"auth_time": 1},
    "recent": {},
    "mine": {"z": "1", "groups": ["mine"]},
    "text": {"roles": "x,y"},
    "one": {"roles": "x"},
    "list": {"roles": ["x", "y,z"]},
    "over": {
        "_claim_names": {"roles": "src1"},
        "_claim_sources": {"src1": {"endpoint": "http://127.0.0.1:1/graph"}},
    },
}
"""What the ID token for a code ``name.nonce`` says, beside the usual."""


def _tokens(code: str) -> tuple[int, object]:
    name, _, nonce = code.partition(".")
    if name == "unsigned":
        return 200, {"access_token": "at", "id_token": tokens.token({}, algorithm="none")}
    if name == "bare":
        return 200, {"access_token": "at", "token_type": "Bearer"}
    if name not in ID_TOKENS:
        return 400, {"error": "invalid_grant", "error_description": "<script>"}
    made = {"access_token": "at", "refresh_token": "rt", "token_type": "Bearer"}
    return 200, {**made, "id_token": id_token(name, nonce)}


def id_token(name: str, nonce: str) -> str:
    """The ID token of that name for one sign-in."""
    now = int(time.time())
    usual = {"iss": address(), "aud": "client", "sub": "alice", "iat": now, "exp": now + 900}
    if nonce:
        usual["nonce"] = nonce
    if name == "recent":
        usual["auth_time"] = now
    claims = {key: value for key, value in {**usual, **ID_TOKENS[name]}.items() if value is not None}
    return tokens.token(claims, kid="one")


def _review(_: Mapping[str, str], body: str) -> tuple[int, object]:
    """Review a token as its own claim `review` says; without one it is good."""
    spec = json.loads(body)["spec"]
    middle = spec["token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))
    user = {"username": claims.get("sub"), "uid": "u-1", "groups": ["system:serviceaccounts"]}
    status = {"authenticated": True, "user": user, "audiences": spec.get("audiences", [])}
    variants: Mapping[str, tuple[int, object]] = {
        "other": (
            201,
            {"status": {**status, "user": {**user, "username": "system:serviceaccount:ns1:other"}}},
        ),
        "elsewhere": (
            201,
            {"status": {**status, "user": {**user, "username": "system:serviceaccount:nsX:sa1"}}},
        ),
        "uid": (201, {"status": {**status, "user": {**user, "uid": "u-2"}}}),
        "person": (201, {"status": {**status, "user": {**user, "username": "admin"}}}),
        "refused": (201, {"status": {"authenticated": False}}),
        "error": (201, {"status": {"authenticated": False, "error": "bad token"}}),
        "audience": (201, {"status": {**status, "audiences": ["another"]}}),
        "blind": (201, {"status": {"authenticated": True, "user": user}}),
        "unauthorized": (401, {"kind": "Status", "status": "Failure", "reason": "Unauthorized", "code": 401}),
        "broken": (500, {"kind": "Status", "status": "Failure", "code": 500}),
        "junk": (201, "no review"),
    }
    return variants.get(claims.get("review", ""), (201, {"status": status}))


def _token(fields: Mapping[str, str], _: str) -> tuple[int, object]:
    code = fields.get("device_code")
    if code in ("authorization_pending", "slow_down", "access_denied", "expired_token"):
        return 400, {"error": code, "error_description": "<script>"}
    return _tokens(f"{code}." if code else fields.get("code", ""))


def _device(fields: Mapping[str, str], _: str) -> tuple[int, object]:
    """A device whose user does what the last scope says: another error than pending, or an ID token."""
    scope = fields.get("scope", "").split()[-1:]
    return 200, {
        "device_code": scope[0]
        if scope and scope[0] not in ("openid", "profile")
        else "authorization_pending",
        "user_code": "AB-CD",
        "verification_uri": f"{address()}/verify",
        "verification_uri_complete": f"{address()}/verify?code=AB-CD",
        "expires_in": 300,
        "interval": 1,
    }


def _nowhere(_: Mapping[str, str], __: str) -> tuple[int, object]:
    return 404, {"error": "nothing here"}


POSTED: Mapping[str, Callable[[Mapping[str, str], str], tuple[int, object]]] = {
    "/token": _token,
    "/apis/authentication.k8s.io/v1/tokenreviews": _review,
    "/device": _device,
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
        fields = dict(parse_qsl(body))
        page = POSTED.get(self.path, _nowhere)
        self._answer(lambda _: page(fields, body))

    def do_GET(self) -> None:
        self._answer(PAGES.get(self.path, lambda _: (404, {"error": "nothing here"})))

    def _answer(self, page: Page) -> None:
        status, content = page(address())
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@cache
def address() -> str:
    """Start it, the first time; return its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"
