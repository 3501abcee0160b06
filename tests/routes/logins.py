# SPDX-License-Identifier: EUPL-1.2
"""Every way in that an application has for somebody without a token: each login, set up and done once or again."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.routes.driver import Answer, Application
from tests.routes.issuer import POLICY
from tests.tokens import KEY, jwk, token
from tests.unit.outbound.authority import Authority
from tests.unit.outbound.service import Service, service

CA = Authority("trusted")
MINE = CA.issue("mine")
HERE = "http://127.0.0.1:8250/oidc/callback"
"""Where a client on the user's own machine waits."""
NAMED = 'pb.Auth{policies: ["default"], display_name: "x", alias: logical.Alias{name: claims.sub}}'
NAMELESS = 'pb.Auth{policies: ["default"], display_name: "x"}'


class World:
    """An application with somebody who can log in by each of its auth methods, and a provider and cluster beside it."""

    def __init__(self, application: Application, beside: Service) -> None:
        self.application = application
        self.headers: Mapping[str, str] = {}
        """What each login is sent with."""
        self.method = ""
        """Id of the second factor that a test demands."""
        self.account = ("shop", "web", "u-1")
        """Namespace, name and uid of the service account that the cluster vouches for."""
        self.issuer = f"http://127.0.0.1:{beside.port}"
        self._beside = beside
        self._nonce = ""
        beside.behave = self._answer
        self._jwt("jwt")
        self._jwt("oidc")
        self._rest()

    def root(self, path: str, body: object = None, method: str = "POST") -> Any:
        """Do something as root."""
        answer = self.application.request(method, f"/v1/{path}", body, token="root")
        assert answer.status < 300, (path, answer.body)
        return answer.json() if answer.body else None

    def send(self, method: str, path: str, body: object = None) -> Answer:
        """Send a request as nobody."""
        return self.application.request(method, f"/v1/{path}", body, headers=self.headers)

    def accessor(self, mount: str) -> str:
        """Return the accessor of an auth mount."""
        found: str = self.root(f"sys/auth/{mount}", method="GET")["data"]["accessor"]
        return found

    @property
    def now(self) -> int:
        """The application's time, in seconds."""
        return self.application.clock.millis() // 1000

    def proof(self, **claims: object) -> str:
        """Return a JSON Web Token of the provider's."""
        good = {"iss": self.issuer, "sub": "ann", "aud": "a", "iat": self.now, "exp": self.now + 600}
        return token({**good, **claims})

    def pod(self) -> str:
        """Return the service account's token."""
        namespace, name, uid = self.account
        held = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
        return self.proof(
            iss="https://kubernetes.default.svc",
            aud=["vault"],
            sub=f"system:serviceaccount:{namespace}:{name}",
            **{"kubernetes.io": held},
        )

    def begin(self, mount: str, role: str) -> str:
        """Begin a sign-in with a browser; return its state."""
        body = {"role": role, "redirect_uri": self.back(mount, role), "client_nonce": "mine"}
        url: str = self.root(f"auth/{mount}/oidc/auth_url", body)["data"]["auth_url"]
        query = parse_qs(urlsplit(url).query)
        self._nonce = query["nonce"][0]
        return query["state"][0]

    def back(self, mount: str, role: str) -> str:
        """Return where the provider sends the browser."""
        return HERE if role == "client" else f"{self.issuer}/v1/auth/{mount}/oidc/callback"

    async def _answer(self, writer: Any, head: bytes) -> None:
        path = head.split(b" ")[1].decode()
        body: dict[str, Any] = {"keys": [jwk(KEY)]}
        if path.startswith("/.well-known"):
            ends = {name: f"{self.issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint")}
            body = {"issuer": self.issuer, "jwks_uri": f"{self.issuer}/keys", **ends}
        elif path == "/token_endpoint":
            claims = {"iss": self.issuer, "aud": "client", "sub": "ann", "nonce": self._nonce}
            signed = token({**claims, "iat": self.now, "exp": self.now + 600})
            body = {"access_token": "at", "id_token": signed}
        elif path.endswith("/tokenreviews"):
            asked = json.loads(self._beside.seen[-1].partition(b"\r\n\r\n")[2])["spec"]
            namespace, name, uid = self.account
            user = {"username": f"system:serviceaccount:{namespace}:{name}", "uid": uid}
            body = {"status": {"authenticated": True, "user": user, "audiences": asked.get("audiences")}}
        content = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)

    def _jwt(self, mount: str) -> None:
        client = {
            "oidc_discovery_url": self.issuer,
            "oidc_client_id": "client",
            "oidc_client_secret": "very secret",
            "jwt_supported_algs": "ES256",
        }
        self.root(f"auth/{mount}/config", client)
        usual = {"user_claim": "sub", "bound_audiences": "a"}
        self.root(f"auth/{mount}/role/r", {"role_type": "jwt", **usual})
        for name, program in (("named", NAMED), ("nameless", NAMELESS)):
            role = {"cel_program": {"expression": program}, "bound_audiences": ["a"]}
            self.root(f"auth/{mount}/cel/role/{name}", role)
        for mode in ("client", "direct"):
            browser = {
                "user_claim": "sub",
                "allowed_redirect_uris": self.back(mount, mode),
                "callback_mode": mode,
                "oidc_disable_confirmation": True,
            }
            self.root(f"auth/{mount}/role/{mode}", browser)

    def _rest(self) -> None:
        self.secret = self.root("auth/approle/role/x/secret-id", {})["data"]["secret_id"]
        self.root("auth/cert/certs/c", {"certificate": CA.pem})
        cluster = {
            "kubernetes_host": self.issuer,
            "token_reviewer_jwt": "reviewer",
            "kubernetes_ca_cert": CA.pem,
        }
        self.root("auth/kubernetes/config", cluster)
        bound = {"bound_service_account_names": "*", "bound_service_account_namespaces": "shop"}
        self.root("auth/kubernetes/role/r", bound)
        self.root("sys/policies/acl/app", {"policy": POLICY})
        self.root("nhi/keys", {"algorithm": "ed25519"})
        self.root("nhi/workloads/w1", {"owner": "team-a", "ttl": "30d"})
        self.root("nhi/registrations/r1", {"workload": "w1", "policies": "app,default"})
        self.client = self.root("nhi/registrations/r1/secret")["data"]["client_secret"]


@contextmanager
def world() -> Iterator[World]:
    """Open one. The test that does needs the marker `loopback`."""
    with Application(outbound=("127.0.0.0/8",)) as application:
        application.certificate = MINE.der
        stack = AsyncExitStack()
        beside: Service = application.run(stack.enter_async_context(service()))
        try:
            yield World(application, beside)
        finally:
            application.run(stack.aclose())


Login = Callable[[World], Answer]


def _posts(path: str, body: Callable[[World], object] | dict[str, str]) -> Login:
    return lambda world: world.send("POST", path, body(world) if callable(body) else body)


def _signs_in(mount: str, role: str) -> Login:
    """Return a sign-in with a browser, which the client itself ends (`client`) or asks for the end of (`direct`)."""

    def login(world: World) -> Answer:
        state = world.begin(mount, role)
        query = {"state": state, "code": "c0de", "client_nonce": "mine"}
        path = f"auth/{mount}/oidc/callback"
        returned = world.send("GET", f"{path}?{urlencode(query)}")
        if role == "client":
            return returned
        assert b"client_token" not in returned.body, returned.body
        return world.send("POST", f"auth/{mount}/oidc/poll", {"state": state, "client_nonce": "mine"})

    return login


def _exchanges(world: World) -> Answer:
    """Ask for a token as an OAuth client does."""
    asked = {"grant_type": "client_credentials", "client_id": "r1", "client_secret": world.client}
    body = urlencode(asked).encode()
    headers = {**world.headers, "content-type": "application/x-www-form-urlencoded"}
    return world.application.request("POST", "/v1/nhi/oauth2/token", body, headers=headers)


def _of_jwt(mount: str) -> dict[tuple[str, str], Login]:
    def given(role: str) -> Callable[[World], object]:
        return lambda world: {"role": role, "jwt": world.proof()}

    return {
        (f"POST auth/{mount}/login", ""): _posts(f"auth/{mount}/login", given("r")),
        (f"POST auth/{mount}/cel/login", "named"): _posts(f"auth/{mount}/cel/login", given("named")),
        (f"POST auth/{mount}/cel/login", "nameless"): _posts(f"auth/{mount}/cel/login", given("nameless")),
        (f"GET auth/{mount}/oidc/callback", "client"): _signs_in(mount, "client"),
        (f"POST auth/{mount}/oidc/poll", "direct"): _signs_in(mount, "direct"),
    }


def _by_client(world: World) -> Mapping[str, str]:
    return {"client_id": "r1", "client_secret": world.client}


LOGINS: Mapping[tuple[str, str], Login] = {
    ("POST auth/approle/login", ""): _posts(
        "auth/approle/login", lambda world: {"role_id": "x", "secret_id": world.secret}
    ),
    ("POST auth/userpass/login/{username:word}", ""): _posts("auth/userpass/login/x", {"password": "x"}),
    ("POST auth/cert/login", ""): _posts("auth/cert/login", {"name": "c"}),
    ("POST auth/kubernetes/login", ""): _posts(
        "auth/kubernetes/login", lambda world: {"role": "r", "jwt": world.pod()}
    ),
    **_of_jwt("jwt"),
    **_of_jwt("oidc"),
    ("POST auth/nhi/login", ""): _posts("auth/nhi/login", _by_client),
    ("POST auth/nhi/login/{client_id:name}", ""): _posts(
        "auth/nhi/login/r1", lambda world: {"password": world.client}
    ),
    ("POST nhi/login", ""): _posts("nhi/login", _by_client),
    ("POST nhi/oauth2/token", ""): _exchanges,
}
"""Each way in: the route that it ends at, and which of several that end there."""
