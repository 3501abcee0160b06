# SPDX-License-Identifier: EUPL-1.2
"""`bao agent` and `bao proxy` as processes, configured for a server, with an AppRole to log in with."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import hvac

from tests.fuzz.process import wait_until
from tests.integration.coffre import BAO, Place
from tests.integration.processes import PATIENCE

RULES = """
path "{name}/*" {{ capabilities = ["create", "read", "update", "list"] }}
path "auth/token/create" {{ capabilities = ["update"] }}
path "auth/token/revoke" {{ capabilities = ["update"] }}
"""


class Workload:
    """A secret, an AppRole that may read it, and the files that its agent reads and writes."""

    def __init__(self, root: hvac.Client, place: Place, folder: Path, name: str, *, ttl: str = "10m") -> None:
        self.place, self.folder, self.name, self.root = place, folder, name, root
        root.sys.enable_secrets_engine("kv", path=name, options={"version": "2"})
        wait_until(self._upgraded, lambda: "the mount is not ready")
        root.sys.create_or_update_policy(name, RULES.format(name=name))
        root.sys.enable_auth_method("approle", path=name)
        approle = root.auth.approle
        approle.create_or_update_approle("app", token_policies=[name], token_ttl=ttl, mount_point=name)
        (folder / "role-id").write_text(approle.read_role_id("app", mount_point=name)["data"]["role_id"])
        made = approle.generate_secret_id("app", mount_point=name)["data"]
        (folder / "secret-id").write_text(made["secret_id"])
        self.token = folder / "token"

    def write(self, **data: str) -> None:
        """Replace the secret."""
        self.root.secrets.kv.v2.create_or_update_secret("app", data, mount_point=self.name)

    def _upgraded(self) -> bool:
        """Write the first secret; the field makes a new mount ready in the background."""
        try:
            self.write(password="first")
        except hvac.exceptions.InvalidRequest:
            return False
        return True

    def config(self, more: str, method: str = "") -> Path:
        """Write a configuration that logs in with the AppRole and keeps the token in a file."""
        file = self.folder / "config.hcl"
        file.write_text(f"""
vault {{
  address = "{self.place.address}"
  ca_cert = "{self.place.authority}"
}}
auto_auth {{
  method "approle" {{
    mount_path = "auth/{self.name}"
    config = {{
      role_id_file_path   = "{self.folder}/role-id"
      secret_id_file_path = "{self.folder}/secret-id"
      remove_secret_id_file_after_reading = false
      {method}
    }}
  }}
  sink "file" {{
    config = {{ path = "{self.token}" }}
  }}
}}
{more}
""")
        return file

    @contextmanager
    def running(self, kind: str, more: str, method: str = "") -> Iterator["Helper"]:
        """Start `bao agent` or `bao proxy`, and end it at the end. `method` is more for its log-in."""
        log = self.folder / f"{kind}.log"
        environment = {**self.place.environment(self.folder), "BAO_TOKEN": ""}
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [BAO, kind, f"-config={self.config(more, method)}"],
                stdout=sink,
                stderr=sink,
                env=environment,
                cwd=self.folder,
            )
        try:
            yield Helper(process, log)
        finally:
            process.terminate()
            process.wait(PATIENCE)


class Helper:
    """A running agent or proxy."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def until(self, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds, while it runs; fail with its log."""

        def holds() -> bool:
            assert self.process.poll() is None, self._told()
            return condition()

        wait_until(holds, self._told)

    def _told(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


def text(file: Path) -> str:
    """What is in a file, or nothing while there is none."""
    return file.read_text() if file.exists() else ""
