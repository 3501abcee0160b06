# SPDX-License-Identifier: EUPL-1.2
"""Raw HTTP: sends exactly what a scenario says, follows nothing, keeps the headers that matter."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass

COMPARED_HEADERS = (
    "cache-control",
    "content-type",
    "strict-transport-security",
    "allow",
    "location",
    "retry-after",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "vary",
    "www-authenticate",
    "pragma",
    "etag",
    "x-vault-namespace",
    "x-vault-inline-auth-failed",
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-allow-credentials",
    "access-control-max-age",
    "x-custom-a",
    "x-custom-b",
    "x-custom-c",
)

_NUMBER = "<number "


@dataclass(frozen=True)
class Answer:
    """A response as it came from the socket."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """The body as JSON, numbers that Python would respell kept as text; None when it is not JSON."""
        try:
            return json.loads(self.body, parse_float=_spelt, parse_int=_integer)
        except ValueError:
            return None


def _spelt(text: str) -> str:
    return f"{_NUMBER}{text}>"


def is_number(value: object) -> bool:
    """Whether `value` is a number as `Answer.json` gives it, whole or kept as text."""
    return type(value) is int or (isinstance(value, str) and value.startswith(_NUMBER))


def _integer(text: str) -> object:
    return int(text) if text == str(int(text)) else _spelt(text)


def send(port: int, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> Answer:
    """One request on a connection of its own to the loopback `port`; 20 s limit.

    A server that closes without an answer is reported as status 0, so that both sides can be compared.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None and "Transfer-Encoding" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        if body:
            _send_body(connection, body)
        response = connection.getresponse()
        kept = {n: v for n in COMPARED_HEADERS if (v := response.getheader(n)) is not None}
        return Answer(response.status, kept, response.read())
    except (http.client.BadStatusLine, ConnectionResetError):
        return Answer(0, {}, b"")
    finally:
        connection.close()


def _send_body(connection: http.client.HTTPConnection, body: bytes) -> None:
    """Sends the body; a server may refuse it by answering and closing before it has read all."""
    try:
        connection.send(body)
    except (BrokenPipeError, ConnectionResetError):
        return
