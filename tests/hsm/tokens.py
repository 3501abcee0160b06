# SPDX-License-Identifier: EUPL-1.2
"""SoftHSM tokens of a test's own, and a device on one of them."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hsm.agent.device import Device
from hsm.agent.session.login import LoginGate
from hsm.agent.session.module import Module, load
from hsm.operations import AgentConfig
from hsm.pin import Pin
from tests.house.tree import ROOT

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "9f3k-test-pin"
SO_PIN = "so-7c1d-test-pin"
COST: Final = 16
"""Of the hash of a PIN, where nobody is to be kept from guessing it."""

Contents = Mapping[str, bytes]
"""What files in a folder of tokens hold, by their paths in it."""
_made: Final[dict[str, Contents]] = {}
"""The first token of each label in this process, and others that are made once."""

_DELETE = """
import sys
from hsm.agent.session.module import load
from hsm.pin import Pin
from pkcs11 import Attribute
_, lib, pin, token_label, key_label = sys.argv
module = load(lib)
token = next(t for t in (slot.get_token() for slot in module.slots()) if t.label.strip() == token_label)
session = token.open(rw=True)
module.login(session, Pin(pin.encode()))
keys = list(session.get_objects({Attribute.LABEL: key_label}))
assert keys
for key in keys:
    key.destroy()
"""


def delete_keys(label: str, *, token: str, pin: str, environment: Mapping[str, str]) -> None:
    """Delete all keys of a label from a SoftHSM token, in a process of its own that sees it by `environment`."""
    command = [sys.executable, "-c", _DELETE, SOFTHSM, pin, token, label]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, capture_output=True)


class SoftHsm:
    """A folder with SoftHSM tokens. `configuration` is what `SOFTHSM2_CONF` has to name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens = folder / "tokens"
        self.tokens.mkdir(parents=True)
        self.configuration = folder / "softhsm2.conf"
        self.configuration.write_text(
            f"directories.tokendir = {self.tokens}\nobjectstore.backend = file\nlog.level = ERROR\n",
            encoding="utf-8",
        )
        self.runtime = folder / "run"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs that uses these tokens."""
        return {**os.environ, "SOFTHSM2_CONF": str(self.configuration)}

    def initialise(self, label: str) -> None:
        """Make a token: a copy of this process's first one of that label, or another where there is such a one here."""
        made = _made.get(label)
        if made is not None and not any((self.tokens / name).exists() for name in made):
            self.restore(made)
            return
        before = self.contents()
        self._initialise(label)
        after = self.contents()
        _made.setdefault(label, {name: after[name] for name in after.keys() - before.keys()})

    def kept(self, name: str, make: Callable[[], None]) -> None:
        """Have `make` make tokens here, or put here what it made when it was first asked for by this name."""
        if name not in _made:
            make()
            _made[name] = self.contents()
        else:
            self.restore(_made[name])

    def contents(self) -> Contents:
        """What the files hold, to be put elsewhere by `restore`: no process may write to them meanwhile."""
        return {
            str(file.relative_to(self.tokens)): file.read_bytes()
            for file in self.tokens.rglob("*")
            if file.is_file()
        }

    def restore(self, contents: Contents) -> None:
        """Put tokens here that were made elsewhere."""
        for name, content in contents.items():
            file = self.tokens / name
            file.parent.mkdir(mode=0o700, exist_ok=True)
            file.touch(mode=0o600)
            file.write_bytes(content)

    def _initialise(self, label: str) -> None:
        command = ["softhsm2-util", "--init-token", "--free", "--label", label]
        subprocess.run(
            [*command, "--so-pin", SO_PIN, "--pin", PIN],
            env=self.environment,
            check=True,
            capture_output=True,
        )

    def agent_config(self, label: str, **changed: object) -> AgentConfig:
        """What an agent is told to use the token `label`."""
        values: dict[str, object] = {
            "lib": SOFTHSM,
            "token_label": label,
            "key_label": "kek",
            "runtime_directory": str(self.runtime),
        }
        return AgentConfig(**{**values, **changed})  # type: ignore[arg-type]  # tests give each field its type

    def gate(self, boot: str = "this-boot") -> LoginGate:
        """A gate whose markers are this folder's own, and soon named."""
        return LoginGate(self.runtime, boot, cost=COST)

    def device(
        self, label: str, *, pin: str = PIN, module: Module | None = None, **changed: object
    ) -> Device:
        """A device in this process, not started; the environment must name `configuration`."""
        config = self.agent_config(label, **changed)
        return Device(config, module or load(config.lib), Pin(pin.encode()), self.gate(), entropy=os.urandom)
