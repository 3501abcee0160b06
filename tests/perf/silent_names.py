# SPDX-License-Identifier: EUPL-1.2
"""``python -m tests.perf.silent_names``: what a tenant costs the others whose name server does not answer.

A server in a mount namespace of its own has one name server, which takes questions and answers none (root on Linux only,
for the files of the resolver are exchanged there and the port is 53). One tenant logs in with service accounts whose
cluster is in `/etc/hosts`; another has many clusters whose names are asked of the silent name server. Bounded: 5 seconds
alone, 15 while 64 strangers log in to the silent clusters.
"""

import argparse
import json
import socket
import statistics
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.conformance.servers import CoffreServer, OpenBaoServer, Server
from tests.tokens import token
from tests.unit.outbound.authority import Authority

NAME_SERVER = "127.53.53.53"
CA = Authority("cluster").pem
ALONE, TOGETHER = 5.0, 15.0
"""Seconds that logins are measured for."""
STRANGERS = 64
_REST = 0.05
_PATIENCE = 60.0


class Lonely(Server):
    """A server with resolver files of its own."""

    def _command(self, config: Path) -> list[str]:
        files = {
            "/etc/resolv.conf": f"nameserver {NAME_SERVER}\n",
            "/etc/hosts": "127.0.0.1 localhost api.others.test\n",
        }
        steps = []
        for place, text in files.items():
            own = self.directory / Path(place).name
            own.write_text(text, encoding="utf-8")
            steps.append(f"mount --bind {own} {place}")
        return [
            "unshare",
            "-m",
            "sh",
            "-c",
            " && ".join([*steps, 'exec "$@"']),
            "sh",
            *super()._command(config),
        ]


class LonelyCoffre(Lonely, CoffreServer):
    """Ours."""


class LonelyOpenBao(Lonely, OpenBaoServer):
    """OpenBao."""


class Cluster(BaseHTTPRequestHandler):
    """An API server that vouches for one account."""

    def do_POST(self) -> None:
        """Vouch."""
        self.rfile.read(int(self.headers["Content-Length"]))
        user = {"username": "system:serviceaccount:shop:web", "uid": "u-1"}
        body = json.dumps({"status": {"authenticated": True, "user": user}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def ask(server: Server, path: str, body: Mapping[str, object], namespace: str = "", token_: str = "") -> int:
    """Send a request; return its status."""
    headers = {"X-Vault-Namespace": namespace, "X-Vault-Token": token_}
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v1/{path}",
        json.dumps(body).encode(),
        {name: value for name, value in headers.items() if value},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refusal:
        return refusal.code


def set_up(server: Server, tenant: str, mount: str, host: str) -> None:
    """Give a tenant a cluster."""
    cluster = {"kubernetes_host": host, "token_reviewer_jwt": "r", "kubernetes_ca_cert": CA}
    role = {"bound_service_account_names": "web", "bound_service_account_namespaces": "shop"}
    for path, body in (
        (f"sys/auth/{mount}", {"type": "kubernetes"}),
        (f"auth/{mount}/config", cluster),
        (f"auth/{mount}/role/r", role),
    ):
        status = ask(server, path, body, tenant, server.root)
        if status not in {200, 204}:
            raise SystemExit(f"{path}: {status}")


def login() -> dict[str, object]:
    """Return what logs the account in."""
    now = int(time.time())
    claims = {
        "iss": "kubernetes/serviceaccount",
        "iat": now,
        "exp": now + 600,
        "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "web", "uid": "u-1"}},
    }
    return {"role": "r", "jwt": token(claims)}


def measured(server: Server, seconds: float) -> tuple[list[float], int]:
    """Log in to the good cluster for so long; return how long each took (ms), and how many were refused."""
    took: list[float] = []
    refused, body = 0, login()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        refused += ask(server, "auth/k/login", body, "others") != 200
        took.append((time.monotonic() - began) * 1000)
        time.sleep(_REST)
    return took, refused


@contextmanager
def strangers(server: Server, names: int) -> Iterator[list[int]]:
    """Log in to the silent clusters, one stranger after another."""
    over = threading.Event()
    statuses: list[int] = []
    body = login()

    def one(number: int) -> None:
        while not over.is_set():
            statuses.append(ask(server, f"auth/k{number % names}/login", body, "silent"))
            number += STRANGERS

    with ThreadPoolExecutor(STRANGERS) as pool:
        for number in range(STRANGERS):
            pool.submit(one, number)
        time.sleep(1)
        yield statuses
        over.set()


def main() -> int:
    """Measure, print, and return 1 where the other tenant was refused anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", type=int, default=100, help="silent names of the one tenant")
    parser.add_argument("--server", choices=("coffre", "openbao"), default="coffre")
    options = parser.parse_args()
    names, kind = options.names, LonelyCoffre if options.server == "coffre" else LonelyOpenBao
    silent_server = (NAME_SERVER, 53)
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
        ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as cluster,
    ):
        silent.bind(silent_server)
        threading.Thread(target=cluster.serve_forever, daemon=True).start()
        server = kind()
        try:
            server.initialise()
            for tenant in ("silent", "others"):
                ask(server, f"sys/namespaces/{tenant}", {}, "", server.root)
            set_up(server, "others", "k", f"http://api.others.test:{cluster.server_port}")
            for number in range(names):
                set_up(server, "silent", f"k{number}", f"http://n{number}.silent.test")
            rows = [("alone", *measured(server, ALONE))]
            with strangers(server, names):
                rows.append((f"{STRANGERS} strangers, {names} silent names", *measured(server, TOGETHER)))
        finally:
            server.stop()
            cluster.shutdown()
    print(f"{'':36} logins  refused  median ms   p95 ms   max ms")
    for label, took, refused in rows:
        p95 = statistics.quantiles(took, n=20)[-1] if len(took) > 1 else took[0]
        print(
            f"{label:36} {len(took):6}  {refused:7}  {statistics.median(took):9.1f} {p95:8.1f} {max(took):8.1f}"
        )
    return 1 if any(refused for _, _, refused in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
