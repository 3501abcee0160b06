# SPDX-License-Identifier: EUPL-1.2
"""A server that is asked as S3 is, with a bucket and a user who may use it, and a way there that breaks."""

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.session import Session

from tests.fuzz.process import wait_until
from tests.ports import free_port
from tests.served import served

BUCKET = "backups"
_ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
_BEFORE = 4
"""Requests that the server answers to anybody, before it looks at signatures: those that make the user and the bucket."""


@dataclass(frozen=True)
class Store:
    """The server, and the user's key."""

    endpoint: str
    key: str
    secret: str

    def client(self) -> Any:
        return _client("s3", self.endpoint, self.key, self.secret)

    def objects(self) -> list[str]:
        """Return the key of every object."""
        return [found["Key"] for found in self.client().list_objects_v2(Bucket=BUCKET).get("Contents", [])]

    def begun(self) -> list[str]:
        """Return the key of every upload that is not complete."""
        found = self.client().list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
        return [upload["Key"] for upload in found]

    def credentials(self, folder: Path, secret: str = "") -> Path:
        """Write the user's key to a file, as AWS' tools have it."""
        file = folder / "credentials"
        file.write_text(
            f"[default]\naws_access_key_id = {self.key}\naws_secret_access_key = {secret or self.secret}\n"
        )
        file.chmod(0o600)
        return file


def _client(service: str, endpoint: str, key: str, secret: str) -> Any:
    return Session().create_client(
        service,
        endpoint_url=endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
    )


@contextmanager
def object_storage() -> Iterator[Store]:
    """Start it in a process of its own; end it at the end."""
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(_BEFORE)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_until(lambda: _answers(port), lambda: "no object storage")
            people = _client("iam", endpoint, "x", "x")
            people.create_user(UserName="coffre")
            people.put_user_policy(UserName="coffre", PolicyName="all", PolicyDocument=json.dumps(_ALLOWED))
            made = people.create_access_key(UserName="coffre")["AccessKey"]
            store = Store(endpoint, made["AccessKeyId"], made["SecretAccessKey"])
            store.client().create_bucket(Bucket=BUCKET)
            yield store
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class BrokenWay(socketserver.ThreadingTCPServer):
    """Leads to a server, and breaks every connection once so many bytes went there through it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, target: str, after: int) -> None:
        host, _, port = target.removeprefix("http://").partition(":")
        self.target, self.left = (host, int(port)), after
        super().__init__(("127.0.0.1", 0), _Leg)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Leg(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        way = self.server
        assert isinstance(way, BrokenWay)
        with socket.create_connection(way.target) as far:
            back = threading.Thread(target=_carry, args=(far, self.request), daemon=True)
            back.start()
            while way.left > 0 and (data := self.request.recv(1 << 16)):
                way.left -= len(data)
                far.sendall(data)
        self.request.close()


def _carry(near: socket.socket, far: socket.socket) -> None:
    try:
        while data := near.recv(1 << 16):
            far.sendall(data)
    except OSError:
        pass


@contextmanager
def broken_way(store: Store, after: int) -> Iterator[BrokenWay]:
    """Lead to a store until so many bytes went there."""
    with served(BrokenWay(store.endpoint, after)) as way:
        yield way
