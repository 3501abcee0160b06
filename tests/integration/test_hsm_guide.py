# SPDX-License-Identifier: EUPL-1.2
"""The guide to HSMs: its commands, as they are printed, do what it says, and so do their dry runs.

The last of its five commands starts a server of its own: `test_server_hsm.py` has it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.house.tree import ROOT
from tests.hsm.tokens import delete_keys
from tests.integration.processes import PATIENCE, VAULT, Running, running
from tests.integration.test_login_guide import blocks
from tests.ports import free_port
from vaultctl.tree.hsm import COMMANDS

GUIDE = (ROOT / "docs" / "hsm.md").read_text(encoding="utf-8")
SH = blocks("sh", GUIDE)
FIVE = SH["SoftHSM in five commands"][0].splitlines()
STANZA = blocks("hcl", GUIDE)["SoftHSM in five commands"][0]
(SECOND,) = re.findall(r"^   ```hcl\n(.*?)^   ```$", GUIDE, re.MULTILINE | re.DOTALL)
PLAIN = re.compile(r"vaultctl( [\w./:=@,+-]+)+")
"""A command that is the same without a shell, which starts faster so."""
KEY = re.compile(r"^Key \d: (\S+)$", re.MULTILINE)


class Operator:
    """Somebody who follows the guide in an empty folder, with a server beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "empty"
        self.folder.mkdir()
        self.port = free_port()
        self.environment = {
            "HOME": str(folder),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{ROOT / 'cli'}",
            "RUNTIME_DIRECTORY": str(folder),
            "BAO_ADDR": f"http://127.0.0.1:{self.port}",
        }

    def does(self, text: str) -> str:
        """Type commands in a shell whose variables stay; return what they print."""
        plain = PLAIN.fullmatch(text)
        done = subprocess.run(
            [sys.executable, "-m", *text.split()]
            if plain
            else ["bash", "-eu", "-c", f"{text}\nenv -0 > {self.folder}/variables"],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=2 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        if not plain:
            variables = (self.folder / "variables").read_text().split("\0")
            self.environment = dict(line.split("=", 1) for line in variables if line)
        return done.stdout

    def follows(self, block: str) -> str:
        """Type a block's commands, each after its dry run where it has one."""
        printed = []
        for line in block.splitlines():
            if "-status" not in line:
                for command in COMMANDS:
                    if line.startswith(f"vaultctl {command.name} "):
                        self.does(line.replace(command.name, f"{command.name} -dry-run", 1))
            printed.append(self.does(line))
        return "".join(printed)

    def each_gives(self, command: str, keys: Sequence[str]) -> str:
        """Have holders give their keys, which the command would ask for on a terminal; return the last one's answer."""
        return [self.does(f"{command.strip()} {key}") for key in keys][-1]

    def configures(self, *stanzas: str) -> None:
        """Write the server's configuration."""
        text = "".join(stanzas).replace("file:///etc/coffre/pin-a", self.environment["BAO_HSM_PIN"])
        (self.folder / "server.hcl").write_text(
            f'storage "sqlite" {{ path = "{self.folder}/vault.db" }}\n'
            f'audit "file" "file" {{ options {{ file_path = "{self.folder}/audit.log" }} }}\n'
            f'listener "tcp" {{\n address = "127.0.0.1:{self.port}"\n tls_disable = true\n}}\n{text}'
        )

    def sealed(self) -> bool:
        """Whether the server is."""
        return bool(json.loads(self.does("vaultctl status -format=json || test $? = 2"))["sealed"])

    def starts(self) -> AbstractContextManager[Running]:
        """Start the server."""
        more = {name: self.environment[name] for name in ("SOFTHSM2_CONF", "RUNTIME_DIRECTORY")}
        return running(f"-config={self.folder}/server.hcl", home=self.folder, environment=more, module=VAULT)

    def reloads(self, server: Running, *stanzas: str, slot: str) -> None:
        """Add stanzas to the configuration of a server that runs; `slot` is the new one."""
        self.configures(*stanzas)
        server.send(signal.SIGHUP)
        server.wait_for(f"a key slot is configured and can be added: slot={slot}")

    def prepares_tokens(self) -> None:
        """Make the guide's token, and another one in the same way."""
        self.does("\n".join(FIVE[:-1]))
        again = [FIVE[1], FIVE[3].replace("vaultctl", "BAO_HSM_TOKEN_LABEL=vault-b vaultctl")]
        self.does("\n".join(again).replace("vault-a", "vault-b"))


def second() -> str:
    """The guide's second stanza, with what it has as above."""
    above = "".join(
        line for line in STANZA.splitlines(keepends=True) if re.search(r"^  (lib|tok|key|pin)", line)
    )
    found = textwrap.dedent(SECOND)
    assert "# lib, token_label, key_label, pin as above\n" in found
    return re.sub(r"  # lib, .*\n", above.replace("vault-a", "vault-b"), found)


def test_its_commands_do_what_it_says(tmp_path: Path) -> None:
    here = Operator(tmp_path)
    here.prepares_tokens()
    here.configures()
    with here.starts() as server:
        init = "vaultctl operator init -key-shares=1 -key-threshold=1 -format=json"
        made = json.loads(here.does(init))
        here.environment["BAO_TOKEN"] = made["root_token"]
        here.each_gives("vaultctl operator unseal", made["unseal_keys_b64"])
        here.does("vaultctl secrets enable -version=1 kv && vaultctl kv put -mount=kv a b=c")
        here.reloads(server, STANZA, slot="hsm-a")
        there, back, migrate = SH["From shares to a token and back"]
        keys = KEY.findall(here.follows(there))
        assert len(keys) == 5
        rotation, retire = SH["Rotation"]
        assert re.search(r"references +v0002: \d+\noutstanding +0", here.follows(rotation))
        here.does(rotation)
        here.follows(retire)
        here.follows("vaultctl operator rotate-root ")
        here.follows(back)
        assert server.end() == 0
    with here.starts() as server:
        assert here.sealed()
        assert '"migration": true' in here.each_gives(migrate.strip() + " -format=json", keys[:3])
        assert not here.sealed()
        gone = next(
            file.parent
            for file in here.folder.glob("tokens/*/token.object")
            if b"vault-a" in file.read_bytes()
        )
        gone.rename(here.folder / "gone")
        here.does("vaultctl operator seal")
        assert here.sealed()
        broken, replaced, abandoned = SH["When every token is gone"]
        here.each_gives(broken, keys[1:4])
        assert not here.sealed()
        assert here.does("vaultctl kv get -mount=kv -field=b a").strip() == "c"
        here.reloads(server, STANZA, second(), slot="hsm-b")
        (nonce,) = re.findall(r"^Nonce +(\S+)$", here.follows(replaced), re.MULTILINE)
        rotate = f"vaultctl operator rotate-keys -target=recovery -nonce={nonce}"
        assert len(KEY.findall(here.each_gives(rotate, keys[:3]))) == 5
        here.follows(abandoned)
        listing = here.does("vaultctl operator seal-slots list")
        assert re.findall(r"^(\S+) +(?:pkcs11|shamir) +\d", listing, re.MULTILINE) == ["shamir", "hsm-b"]


def test_what_it_says_of_a_deleted_key_brings_the_slot_back(tmp_path: Path) -> None:
    here = Operator(tmp_path)
    here.prepares_tokens()
    here.configures(STANZA)
    with here.starts() as server:
        made = json.loads(here.does("vaultctl operator init -format=json"))
        here.environment["BAO_TOKEN"] = made["root_token"]
        here.does("vaultctl secrets enable -version=1 kv && vaultctl kv put -mount=kv a b=c")
        delete_keys("vault-kek", token="vault-a", pin="1357-2468", environment=here.environment)
        here.does("vaultctl operator seal")
        here.each_gives("vaultctl operator unseal", made["recovery_keys_b64"][:3])
        here.follows(*SH["When a key was deleted"])
        assert server.end() == 0
    with here.starts() as server:
        server.wait_for("unsealed")
        assert here.does("vaultctl kv get -mount=kv -field=b a").strip() == "c"


def test_its_ceremony_is_a_script(tmp_path: Path) -> None:
    here = Operator(tmp_path)
    here.does("\n".join(FIVE[:3]))
    (script,) = blocks("toml", GUIDE)["Ceremonies"]
    (here.folder / "script.toml").write_text(script)
    (here.folder / "config.hcl").write_text(STANZA)
    for name in ("alice", "bob"):
        public = Ed25519PrivateKey.generate().public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (here.folder / f"{name}.pem").write_bytes(pem)
    said = here.does("vaultctl hsm ceremony run -dry-run script.toml transcript.json")
    assert "Nothing was done and nothing is written" in said


def test_no_command_is_left_out() -> None:
    sections = {
        "SoftHSM in five commands",
        "From shares to a token and back",
        "When every token is gone",
        "When a key was deleted",
        "Rotation",
    }
    assert set(SH) == sections
    assert len(FIVE) == 5
    (table,) = re.findall(r"^\| command \| does \|\n(.*?)\n\n", GUIDE, re.MULTILINE | re.DOTALL)
    told = set(re.findall(r"[a-z][a-z0-9-]+", table))
    assert {word for command in COMMANDS for word in command.name.split()} <= told | {"operator"}
