# SPDX-License-Identifier: EUPL-1.2
"""A proxy that stands before a good server and makes it a bad one in one way, which the named tests must see."""

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

from tests.conformance.servers import Server
from tests.conformance_suite.judging import ARTEFACTS, artefact_places
from tests.conformance_suite.stub import Said, Sent, serving

_OWN = {"host", "content-length", "connection", "accept-encoding", "transfer-encoding"}


@dataclass
class Behind:
    """The good server behind the proxy, and what a fault remembers of it."""

    port: int
    root: str
    files: Mapping[str, Path] = field(default_factory=dict)
    """What is handed over of it, by name; a folder is given as one."""
    memory: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Said] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    @classmethod
    def of(cls, good: Server) -> "Behind":
        """A good server, with what is handed over of it."""
        return cls(good.port, good.root, artefact_places(good))

    def ask(self, request: Sent) -> Said:
        """Send a request on, and return what the good server says; what is handed over of it is read from its files."""
        if request.target.startswith(ARTEFACTS):
            return Said(200, whole_of(self.files[request.target.removeprefix(ARTEFACTS)], request.target))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {name: value for name, value in request.headers.items() if name not in _OWN}
        try:
            connection.request(request.method, request.target, request.body or None, headers)
            answer = connection.getresponse()
            body = answer.read()
        except (BrokenPipeError, ConnectionResetError):
            return Said(cut=True)
        finally:
            connection.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN}
        return Said(answer.status, body, kept)

    def ask_as_root(self, request: Sent) -> Said:
        """The same by who may everything."""
        return self.ask(with_headers(request, **{"x-vault-token": self.root}))


Behaviour = Callable[[Behind, Sent], Said]


@dataclass(frozen=True)
class Fault:
    """One way to be wrong: by id of a test the outcome that it must have then."""

    name: str
    turns: Mapping[str, str]
    behave: Behaviour


class Faults:
    """The faults of one area."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def __iter__(self) -> Iterator[Fault]:
        return iter(self._faults)

    def add(self, fault: Fault) -> None:
        """Add one that was made elsewhere."""
        self._faults.append(fault)

    def fault(self, *turns: str, **others: str) -> Callable[[Behaviour], Behaviour]:
        """Declare one: `turns` are tests that fail with it, `others` have another outcome."""

        def declare(behave: Behaviour) -> Behaviour:
            self._faults.append(Fault(behave.__name__, {**dict.fromkeys(turns, "fail"), **others}, behave))
            return behave

        return declare


@contextmanager
def mutated(fault: Fault, good: Server) -> Iterator[int]:
    """The port of a proxy before a good server that has this fault."""
    server = Behind.of(good)
    with serving(lambda request: fault.behave(server, request)) as (own, _):
        yield own


def whole_of(place: Path, name: str) -> bytes:
    """What is in a file, or in all files of a folder that are of what `name` says."""
    if place.is_file():
        return place.read_bytes()
    ending = "*.checkpoints" if name.endswith("checkpoints") else "*.jsonl"
    return b"".join(path.read_bytes() for path in sorted(place.rglob(ending)))


# ------------------------------------------------------------------------------- reading and changing
def path_of(request: Sent) -> str:
    """The path of a request, without its query."""
    return request.target.partition("?")[0]


def query_of(request: Sent) -> dict[str, str]:
    """The parameters of a request."""
    return dict(parse_qsl(request.target.partition("?")[2]))


def with_target(request: Sent, path: str, query: Mapping[str, str] | None = None) -> Sent:
    """The request to another path, with its own parameters or others."""
    text = request.target.partition("?")[2] if query is None else urlencode(query)
    return replace(request, target=f"{path}?{text}" if text else path)


def with_headers(request: Sent, **headers: str | None) -> Sent:
    """The request with other headers; None removes one."""
    made = {**request.headers, **{name: value for name, value in headers.items() if value is not None}}
    return replace(
        request, headers={name: value for name, value in made.items() if headers.get(name, "") is not None}
    )


def body_of(message: Sent | Said) -> Any:
    """The body as JSON, or None."""
    try:
        return json.loads(message.body)
    except ValueError:
        return None


def with_body(request: Sent, body: object) -> Sent:
    """The request with another body."""
    return replace(request, body=json.dumps(body).encode())


def saying(answer: Said, body: object) -> Said:
    """The answer with another body."""
    return replace(answer, body=json.dumps(body).encode())


def refusing(status: int, *errors: str) -> Said:
    """An error as the dialect has it."""
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Said(status, json.dumps({"errors": errors}).encode(), headers)


def done(body: object = None) -> Said:
    """An answer that something was done."""
    headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
    return Said(204 if body is None else 200, b"" if body is None else json.dumps(body).encode(), headers)


def is_data(request: Sent, method: str = "") -> bool:
    """Whether it is about versions of a secret, by this method."""
    return "/data/" in path_of(request) and method in {"", request.method}
