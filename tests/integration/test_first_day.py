# SPDX-License-Identifier: EUPL-1.2
"""An operator's first day, typed as it is printed, but for packages that are installed and what systemd would start."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.house.tree import ROOT
from tests.integration.processes import PATIENCE
from tests.integration.test_application_guide import environment
from tests.ports import free_port

PAGE = (ROOT / "docs" / "first-day.md").read_text(encoding="utf-8")
_BLOCK = re.compile(
    r"(?:`(?P<file>/[^`\n]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_INSTALLS = "apt-get install "
_SERVICES = {
    "coffre": "vaultctl server -config=/etc/coffre/config.hcl",
    "prometheus": "prometheus --config.file=/etc/prometheus/prometheus.yml --storage.tsdb.path=/var/lib/prometheus"
    " --web.listen-address=127.0.0.1:9090",
}
"""What systemd starts."""
_LEFT = {"systemctl daemon-reload"}


class Machine:
    """A folder in the place of a machine's root, its ports, and what runs on it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._names = [
            ("0.0.0.0:8200", f"127.0.0.1:{(vault := free_port())}"),
            ("127.0.0.1:8200", f"127.0.0.1:{vault}"),
            ("127.0.0.1:9200", f"127.0.0.1:{free_port()}"),
            ("127.0.0.1:9090", f"127.0.0.1:{free_port()}"),
            *(
                (name, f"{root}{name}")
                for name in ("/etc/coffre", "/etc/prometheus", "/etc/systemd", "/var/", "/backup")
            ),
            (" -o coffre -g coffre", ""),
            ("chgrp coffre", f"chgrp {os.getgid()}"),
            ("runuser -u coffre -- ", ""),
            ("deploy/observability", f"{ROOT}/deploy/observability"),
        ]
        for folder in (
            "etc/coffre",
            "etc/prometheus",
            "etc/systemd/system/coffre.service.d",
            "var/lib/coffre",
            "var/log/coffre",
            "var/lib/prometheus",
            "root",
            "run",
        ):
            (root / folder).mkdir(parents=True)
        self._variables = dict(environment(root / "root", RUNTIME_DIRECTORY=str(root / "run")))
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def here(self, text: str) -> str:
        """Return a text of the page with this machine's names."""
        for there, here in self._names:
            text = re.sub(("(?<![\\w.])" if there.startswith("/") else "") + re.escape(there), here, text)
        return text

    def types(self, command: str) -> str:
        """Type a command in a shell whose variables stay; return what it prints."""
        if command.startswith("systemctl "):
            return self._serves(command)
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", f"{self.here(command)}\nenv -0 > {self.root}/variables"],
            env=self._variables, cwd=self.root, capture_output=True, text=True, timeout=4 * PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}\n{self.log('coffre')}"
        read = (self.root / "variables").read_text().split("\0")
        self._variables = dict(line.split("=", 1) for line in read if line)
        return done.stdout

    def _serves(self, command: str) -> str:
        verb, *_, service = command.split()[1:]
        if verb in {"stop", "restart"}:
            self.end(service)
        if verb in {"start", "restart", "enable"}:
            assert service not in self._running
            with (self.root / f"{service}.log").open("ab") as log:
                self._running[service] = subprocess.Popen(
                    self.here(_SERVICES[service]).split(),
                    env=self._variables,
                    cwd=self.root,
                    stdout=log,
                    stderr=log,
                )
            if service == "coffre":  # systemd is told when it listens
                self._waits("status -format=json > listening; test -s listening")
        return ""

    def _waits(self, status: str) -> None:
        address = "VAULT_ADDR=https://127.0.0.1:8200 VAULT_CACERT=/etc/coffre/tls.crt"
        self.types(
            f"for _ in $(seq {4 * PATIENCE}); do if {address} vaultctl {status}; then break; fi; sleep 0.3; done; test -s listening"
        )

    def end(self, service: str) -> None:
        """Stop a service, as systemd does."""
        if (process := self._running.pop(service, None)) is not None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(4 * PATIENCE) in {0, -signal.SIGTERM}

    def log(self, service: str) -> str:
        """Return the end of what a service has said."""
        path = self.root / f"{service}.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""


@contextmanager
def _machine(root: Path) -> Iterator[Machine]:
    machine = Machine(root)
    with ExitStack() as stack:
        for service in _SERVICES:
            stack.callback(machine.end, service)
        yield machine


def commands(block: str) -> Sequence[str]:
    """Return the commands of a block: one on each line, or on some that end with a backslash."""
    return [line for line in block.replace("\\\n", "\0").splitlines() if line]


def test_its_commands_do_what_it_says(tmp_path: Path) -> None:
    printed: dict[str, str] = {}
    with _machine(tmp_path) as machine:
        for found in _BLOCK.finditer(PAGE):
            if found["kind"] != "sh":
                assert found["file"], f"it is not said which file this is:\n{found['text']}"
                Path(machine.here(found["file"])).write_text(machine.here(found["text"]))
                continue
            for command in commands(found["text"]):
                if command.startswith(_INSTALLS) or command in _LEFT:
                    continue
                text = command.replace("\0", "\\\n")
                printed[text] = machine.types(text)
        assert re.search(r"^Sealed +false$", printed["until vaultctl status; do sleep 1; done"], re.MULTILINE)
        assert printed["vaultctl kv get -field=password secret/billing"] == "correct-horse"
        assert "esa.kv.write" in printed["vaultctl audit query -resource=secret/billing"]
        (checked,) = (text for line, text in printed.items() if "upgrade-check" in line)
        assert checked.count("[ success ]") == len(checked.splitlines())
        said = machine.log("coffre")
        assert "correct-horse" not in said
    assert list((tmp_path / "backup").glob("nightly*")), "no backup was made by itself"
