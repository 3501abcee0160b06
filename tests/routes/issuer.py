# SPDX-License-Identifier: EUPL-1.2
"""An `nhi` mount of an application with somebody who has tokens of it."""

from typing import Any

from biscuit_auth import Biscuit, BlockBuilder, PublicKey

from tests.routes.driver import Application

POLICY = (
    'path "secret/data/app/*" { capabilities = ["create", "update", "read"] }\n'
    'path "secret/metadata/*" { capabilities = ["list"] }\n'
    'path "auth/token/create" { capabilities = ["update"] }\n'
    'path "sys/wrapping/wrap" { capabilities = ["update"] }'
)
DB, OTHER = "secret/data/app/db", "secret/data/app/other"
TO_DB = 'check if resource($r), $r.starts_with("secret/data/app/db");'
READS = 'check if operation($o), {"read"}.contains($o);'
LOOK = "auth/token/lookup-self"


class Issuer:
    """An application with an `nhi` mount, a workload and a registration."""

    def __init__(self, application: Application, algorithm: str = "ed25519", within: str = "") -> None:
        self.application = application
        self.within = within
        application.request(
            "POST", f"/v1/{within}sys/mounts/nhi", {"type": "nhi"}, token="root"
        )  # may be there
        self.root("sys/policies/acl/app", {"policy": POLICY})
        self.root("nhi/keys", {"algorithm": algorithm})
        self.root("nhi/workloads/w1", {"owner": "team-a", "ttl": "30d"})
        self.root("nhi/registrations/r1", {"workload": "w1", "policies": "app,default"})

    def root(self, path: str, body: object = None, method: str = "POST") -> Any:
        """Do something as root."""
        answer = self.application.request(method, f"/v1/{self.within}{path}", body, token="root")
        assert answer.status < 300, answer.body
        return answer.json() if answer.body else None

    def logged_in(self, role: str) -> str:
        """Return a token of an AppRole login."""
        role_id = self.root(f"auth/approle/role/{role}/role-id", method="GET")["data"]["role_id"]
        secret_id = self.root(f"auth/approle/role/{role}/secret-id", {})["data"]["secret_id"]
        both = {"role_id": role_id, "secret_id": secret_id}
        made = self.application.request("POST", f"/v1/{self.within}auth/approle/login", both).json()
        token: str = made["auth"]["client_token"]
        return token

    def issue(self, **body: object) -> str:
        """Return a new token."""
        token: str = self.root("nhi/issue/r1", body)["auth"]["client_token"]
        return token

    def key(self) -> PublicKey:
        """Return the newest public key, as anybody may ask for it."""
        answer = self.application.request("GET", f"/v1/{self.within}nhi/public-keys")
        newest = answer.json()["data"]["keys"][-1]
        return PublicKey(f"{newest['algorithm']}/{newest['key_bytes']}")

    def narrow(self, token: str, *blocks: str) -> str:
        """Attenuate a token offline, with the stock library."""
        narrowed = Biscuit.from_base64(token, self.key())
        for block in blocks:
            narrowed = narrowed.append(BlockBuilder(block))
        return narrowed.to_base64()

    def status(self, token: str, path: str, method: str = "GET", body: object = None) -> int:
        """Return how the application answers the holder of a token."""
        return self.application.request(method, f"/v1/{path}", body, token=token).status

    def token_id(self, token: str) -> str:
        """Return the id that a token was issued under."""
        found: str = self.root("nhi/introspect", {"token": token})["data"]["token_id"]
        return found

    def tree(self, token: str) -> Any:
        """Return what was seen of a token."""
        return self.root(f"nhi/credentials/{self.token_id(token)}", method="GET")["data"]
