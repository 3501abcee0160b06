# SPDX-License-Identifier: EUPL-1.2
"""A dry run of a change of slots changes nothing and refuses what the change would, in the same words."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from tests.hsm.slots import slot_on
from tests.hsm.tokens import PIN, delete_keys
from tests.integration.processes import ROOT
from tests.integration.sealed_site import Site
from vaultctl.tree.hsm import COMMANDS


class Operator:
    """Somebody who tries every command and then gives it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self.given: set[str] = set()

    def slots(self) -> object:
        """What commands change of slots; the server looks at their health by itself."""
        data = self._site.ask("GET", "sys/seal-slots")[1]["data"]
        changed = ("type", "stored", "priority", "added")
        return data["root_version"], {
            name: [slot[what] for what in changed] for name, slot in data["key_info"].items()
        }

    def does(self, line: str, *, refused: str = "", device: bool = False) -> None:
        """Make a dry run of a command, see that nothing changed, give it; both are refused in the same words, or neither.

        A `device` that is away is away in other words each time: that it is, and that it is not asked for a while.
        """
        words = line.split()
        name = 3 if words[1] == "seal-slots" else 2
        before = self.slots()
        tried = self._run(*words[:name], "-dry-run", *words[name:])
        assert self.slots() == before, line
        done = self._run(*words)
        self.given.add(" ".join(word for word in words if not word.startswith("-")))
        assert (tried.returncode, done.returncode) == ((2, 2) if refused else (0, 0)), (
            f"{line}\n{tried.stdout}{tried.stderr}\n{done.stdout}{done.stderr}"
        )
        assert refused in done.stderr, line
        if refused and not device:
            assert done.stderr.strip().splitlines()[-1].removeprefix("* ") in tried.stderr, line

    def _run(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = {
            "BAO_ADDR": f"http://127.0.0.1:{self._site.port}",
            "BAO_TOKEN": self._site.root,
            "HOME": str(self._site.folder),
            "PYTHONPATH": f"{ROOT / 'cli'}:{ROOT}",
        }
        command = [sys.executable, "-m", "vaultctl", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


async def _make_key(site: Site) -> None:
    slot = slot_on(site.softhsm, token_label="b")
    try:
        await slot.generate_kek("aes")
    finally:
        await slot.close()


def test_every_command_is_refused_before_where_it_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.serving(site.seal("hsm-a") + site.seal("hsm-b")):
        made = site.ask("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})[1]
        site.root = made["root_token"]
        operator = Operator(site)
        seal = "operator seal-slots"
        for verb in ("verify", "promote", "demote", "remove", "rewrap"):
            operator.does(f"{seal} {verb} nix", refused=" nix")
        operator.does(f"{seal} add nix", refused="no seal stanza has the name nix")
        operator.does(f"{seal} add hsm-a", refused="is part of the vault already")
        operator.does(f"{seal} remove shamir")
        operator.does(f"{seal} add shamir")
        for verb in ("verify", "rewrap"):
            operator.does(f"{seal} {verb} shamir", refused="shares")
        for line in (f"{seal} list", f"{seal} demote hsm-a", f"{seal} promote hsm-a", f"{seal} verify hsm-a"):
            operator.does(line)
        operator.does(f"{seal} remove hsm-b")
        operator.does(f"{seal} add hsm-b")
        operator.does(f"{seal} rewrap hsm-b")
        operator.does("hsm rewrap hsm-a")
        operator.does("operator rotate-root")
        operator.does("operator rotate-root -no-links", refused="open the vault no more: shamir")
        operator.does(
            "operator rotate-root -no-links -drop=nix", refused="names a seal slot that is not there"
        )
        delete_keys("kek", token="b", pin=PIN, environment=site.softhsm.environment)
        asyncio.run(_make_key(site))  # another one in its place
        operator.does(f"{seal} verify hsm-b", refused="slot hsm-b")
        os.rename(site.softhsm.tokens, site.folder / "away")
        for line in (f"{seal} verify hsm-a", f"{seal} rewrap hsm-a", "hsm rewrap hsm-a"):
            operator.does(line, refused="hsm-a", device=True)
        operator.does(f"{seal} remove shamir", refused="is the last one that works")
    asked = {line for command in COMMANDS for line in operator.given if line.startswith(command.name)}
    assert asked == operator.given
    remote = {command.name for command in COMMANDS if command.remote}
    assert {name for name in remote if not any(line.startswith(name) for line in operator.given)} == set()
