# SPDX-License-Identifier: EUPL-1.2
"""The vocabulary of recorded scenarios: what a step sends, and how its answer is to be compared.

``{name}`` in a path, token, header or body string is replaced by a captured value; ``{root}`` is the
server's root token, ``{service}`` the address of what both servers ask (see ``service.py``), ``{signed_NAME}`` its ID
token NAME with the captured nonce, ``{certified_NAME}`` a chain of certificates for the captured public key (see
``certifier.py``), ``{wrapped_NAME}`` a key of ``moved_keys.py``. Names that were never captured are left as they are in
bodies (HCL has braces too).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

ROOT = "{root}"
MERGE = {"Content-Type": "application/merge-patch+json"}


@dataclass(frozen=True)
class Step:
    """One HTTP request, and the rules for comparing the two answers."""

    method: str
    path: str
    """Below ``/v1/``; a leading ``/`` makes it absolute. Sent as it stands, percent signs included."""
    body: object = None
    """JSON value, ``bytes`` sent as they are, or None for no body."""
    token: str = ROOT
    headers: Mapping[str, str] = field(default_factory=dict)
    save: Sequence[str] = ()
    """Captures, each ``name:dotted.path.into.the.json``, or ``name:path?field`` for a field of a URL's query."""
    pick: Sequence[str] = ()
    """Compare only these dotted paths of the JSON body (lists that other scenarios also write to)."""
    unordered: Sequence[str] = ()
    """Dotted paths of lists whose order the reference does not promise."""
    passing: Sequence[str] = ()
    """Keys of the JSON body whose value the reference gives one way or the other, as far as its work in the background has got."""
    shape: int = 0
    """Compare keys down to this depth and only types below (texts that are our own)."""
    settle: int = 0
    """Repeat until this status, at most a minute: for work that the reference does in the background."""
    settle_on: str | Sequence[str] = ()
    """Repeat until this text, or each of these, is in the body, at most a minute, as `settle`."""
    extra: Sequence[str] = ()
    """Keys of the JSON body that the subject has and the reference does not."""
    restart: str | None = None
    """Instead of a request: end the server and start it again with this ``seal`` stanza, or with none."""
    divergence: str = ""
    """Identifier in ``api-spec/divergences.md``: this step must differ, in what the table lets differ."""

    def title(self) -> str:
        """The request in one line, for reports."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Scenario:
    """An ordered conversation with one server."""

    area: str
    name: str
    steps: Sequence[Step]
    fresh: bool = False
    """Needs an uninitialised server of its own."""
    seal: str = ""
    """The ``seal`` stanza of that server, with ``{directory}`` for its folder."""
    lasting: bool = False
    """Whether its storage must outlive a restart."""
    listener: str = ""
    """More settings of the listener of that server."""

    @property
    def key(self) -> str:
        """Unique, readable identifier."""
        return f"{self.area}/{self.name}"


def step(method: str, path: str, body: object = None, **options: Any) -> Step:
    """A request with any verb; `options` are the other fields of `Step`."""
    return replace(Step(method, path, body), **options)


def get(path: str, **options: Any) -> Step:
    """A GET."""
    return step("GET", path, **options)


def lst(path: str, **options: Any) -> Step:
    """A LIST."""
    return step("LIST", path, **options)


def scan(path: str, **options: Any) -> Step:
    """A SCAN."""
    return step("SCAN", path, **options)


def delete(path: str, **options: Any) -> Step:
    """A DELETE."""
    return step("DELETE", path, **options)


def post(path: str, body: object = None, **options: Any) -> Step:
    """A POST."""
    return step("POST", path, body, **options)


def put(path: str, body: object = None, **options: Any) -> Step:
    """A PUT."""
    return step("PUT", path, body, **options)


def patch(path: str, body: object = None, **options: Any) -> Step:
    """A PATCH with the merge-patch media type."""
    options.setdefault("headers", MERGE)
    return step("PATCH", path, body, **options)


def restart(seal: str = "") -> Step:
    """Ends the server and starts it again, with another ``seal`` stanza; compares who answers after it."""
    return Step("GET", "sys/init", token="", restart=seal)


def policy(name: str, text: str) -> Step:
    """Writes an ACL policy."""
    return post(f"sys/policies/acl/{name}", {"policy": text})


def login(name: str, *policies: str, **body: object) -> Step:
    """Creates a token with exactly `policies` and captures it and its accessor as `name`, `name`_acc."""
    request = {"policies": list(policies), "no_default_policy": "default" not in policies, **body}
    return post("auth/token/create", request, save=(f"{name}:auth.client_token", f"{name}_acc:auth.accessor"))
