# SPDX-License-Identifier: EUPL-1.2
"""The provider's HTTP client, as Vault's Go library behaves: verbs, headers, what an answer means. It keeps what was said."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from tests.conformance.scenario import Step
from tests.conformance.wire import Answer, send

MERGE_PATCH = "application/merge-patch+json"
Secret = Mapping[str, Any]
"""A decoded answer: `data`, `auth`, `wrap_info`, `warnings`."""


class Where(Protocol):
    """A server to talk to."""

    port: int
    root: str


class Refused(Exception):
    """An answer that the provider's library makes an error of: its status and its error texts."""

    def __init__(self, status: int, errors: Sequence[str]) -> None:
        super().__init__(f"{status}: {'; '.join(errors)}")
        self.status = status
        self.errors = tuple(errors)


@dataclass(frozen=True)
class Call:
    """One request, as the comparison of servers knows it, and its answer."""

    step: Step
    answer: Answer


@dataclass
class Client:
    """Sends requests to one server with one token, and writes each down in `said`."""

    where: Where
    token: str
    namespace: str = ""
    said: list[Call] = field(default_factory=list)
    unordered: Sequence[str] = ()
    """Dotted paths of lists in answers that the provider reads as sets."""
    shapes: Mapping[str, int] = field(default_factory=dict)
    """How deep answers are compared whose values are made, by the end of their path."""

    def within(self, namespace: str) -> "Client":
        """The same client in a namespace: what a resource's own `namespace` does."""
        path = f"{self.namespace}/{namespace}" if self.namespace else namespace
        return replace(self, namespace=path)

    def read(self, path: str, **query: str) -> Secret | None:
        """Read a path; None where there is nothing."""
        return self._absent_or(self.send("GET", path, query=query))

    def listed(self, path: str) -> Secret | None:
        """List a path: a GET that says so."""
        return self._absent_or(self.send("GET", path, query={"list": "true"}))

    def write(self, path: str, body: object = None, *, wrap: str = "") -> Secret | None:
        """Write to a path; without `body` nothing is sent. None where the answer has no content."""
        return self._content(self.send("PUT", path, body, wrap=wrap))

    def post(self, path: str, body: object = None, *, wrap: str = "") -> Secret | None:
        """As `write`, by the verb that the library's own functions for system paths and tokens use."""
        return self._content(self.send("POST", path, body, wrap=wrap))

    def patch(self, path: str, body: object) -> Secret | None:
        """A merge patch; a `body` of None is sent as JSON's null."""
        sent = b"null" if body is None else body
        return self._content(self.send("PATCH", path, sent, kind=MERGE_PATCH))

    def delete(self, path: str) -> None:
        """Delete a path."""
        self._content(self.send("DELETE", path))

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] = {},
        wrap: str = "",
        kind: str = "",
    ) -> Answer:
        """Send a request, whatever the answer. Slashes at the ends of `path` go, as the library joins paths."""
        target = quote(path.strip("/"), safe="/:@!$&'()*+,;=~") + (f"?{urlencode(query)}" if query else "")
        headers = {"X-Vault-Request": "true", "X-Vault-Token": self.token}
        headers |= {"X-Vault-Namespace": self.namespace} if self.namespace else {}
        headers |= {"X-Vault-Wrap-TTL": wrap} if wrap else {}
        headers |= {"Content-Type": kind} if kind else {}
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        answer = send(self.where.port, method, f"/v1/{target}", headers, content)
        depth = next((depth for end, depth in self.shapes.items() if path.endswith(end)), 0)
        shown = Step(method, target, body, unordered=self.unordered, shape=depth)
        self.said.append(Call(shown, answer))
        return answer

    @staticmethod
    def _absent_or(answer: Answer) -> Secret | None:
        """What a read makes of an answer: a 404 is nothing, unless it says something."""
        if answer.status == 404:
            found = json.loads(answer.body or b"{}")
            return found if found.get("data") or found.get("warnings") else None
        return Client._content(answer)

    @staticmethod
    def _content(answer: Answer) -> Secret | None:
        if answer.status >= 400:
            raise Refused(answer.status, json.loads(answer.body).get("errors") or ())
        found: Secret | None = json.loads(answer.body) if answer.body.strip() else None
        return found


def data(secret: Secret | None) -> Mapping[str, Any]:
    """The data of an answer that must have some."""
    assert secret is not None
    found: Mapping[str, Any] = secret["data"]
    return found


def start(
    where: Where,
    said: list[Call] | None = None,
    *,
    token: str = "",
    namespace: str = "",
    skip_child_token: bool = False,
) -> Client:
    """What the provider does before anything else: ask who it is, make a token for this run, ask which version is there.

    Raises `Refused` where it may not.
    """
    client = Client(where, token or where.root, said=[] if said is None else said)
    whose = data(client.read("auth/token/lookup-self")).get("namespace_path", "").strip("/")
    if not skip_child_token:
        asked = {
            "ttl": "1200s",
            "explicit_max_ttl": "1200s",
            "display_name": "terraform",
            "num_uses": 0,
            "renewable": False,
            "type": "",
            "entity_alias": "",
        }
        made = (client.within(whose) if whose else client).post("auth/token/create", asked)
        assert made is not None
        client.token = made["auth"]["client_token"]
    status = client.read("sys/seal-status")
    assert status is not None and status["version"]
    client.namespace = namespace or whose
    return client
