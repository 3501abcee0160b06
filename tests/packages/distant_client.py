# SPDX-License-Identifier: EUPL-1.2
"""A client of the server at 127.0.0.1:8200 whose certificate is for coffre.example: a program, for networks of their own.

`health AUTHORITY`: prints the status of the health endpoint.
`hold AUTHORITY`: sends half a request, prints `held`, and ends when the server closes the connection.
`write AUTHORITY TOKEN PREFIX`: writes secrets, prints the name of each that was acknowledged, and ends when one was not.
`read AUTHORITY TOKEN`: prints those names of its input under which a secret is as it was written.
"""

import contextlib
import http.client
import itertools
import json
import ssl
import sys
from collections.abc import Callable, Mapping

_NAME, _PORT, _SECONDS = "coffre.example", 8200, 60.0


class _Connection(http.client.HTTPSConnection):
    """One to 127.0.0.1 that wants the server to be who it should be."""

    def __init__(self, authority: str) -> None:
        self._trust = ssl.create_default_context(cafile=authority)
        super().__init__("127.0.0.1", _PORT, timeout=_SECONDS, context=self._trust)

    def connect(self) -> None:
        """Connect, and compare the certificate with the name."""
        http.client.HTTPConnection.connect(self)
        self.sock = self._trust.wrap_socket(self.sock, server_hostname=_NAME)


def _says(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _hold(connection: _Connection) -> None:
    connection.connect()
    connection.sock.sendall(
        b"PUT /v1/sys/init HTTP/1.1\r\nHost: coffre.example\r\nContent-Length: 99\r\n\r\n{"
    )
    _says("held")
    with contextlib.suppress(OSError):
        connection.sock.recv(1000)


def _ask(connection: _Connection, token: str, name: str, body: str | None = None) -> tuple[int, bytes]:
    verb = "GET" if body is None else "PUT"
    connection.request(verb, f"/v1/secret/data/{name}", body, {"X-Vault-Token": token})
    answer = connection.getresponse()
    return answer.status, answer.read()


def _write(connection: _Connection, token: str, prefix: str) -> None:
    for number in itertools.count():
        name = f"{prefix}-{number}"
        with contextlib.suppress(OSError, http.client.HTTPException):
            if _ask(connection, token, name, json.dumps({"data": {"name": name}}))[0] == 200:
                _says(name)
                continue
        return


def _read(connection: _Connection, token: str) -> None:
    for name in sys.stdin.read().split():
        status, body = _ask(connection, token, name)
        if status == 200 and json.loads(body)["data"]["data"] == {"name": name}:
            _says(name)


def _health(connection: _Connection) -> None:
    connection.request("GET", "/v1/sys/health")
    _says(str(connection.getresponse().status))


_VERBS: Mapping[str, Callable[..., None]] = {"health": _health, "hold": _hold, "write": _write, "read": _read}

if __name__ == "__main__":
    verb, authority, *more = sys.argv[1:]
    _VERBS[verb](_Connection(authority), *more)
