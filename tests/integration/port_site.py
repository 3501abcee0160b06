# SPDX-License-Identifier: EUPL-1.2
"""Two servers of OpenBao and one of ours, and `vaultctl port` as it is typed between them."""

import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage

from tests.cli.servers import dev_server
from tests.house.tree import ROOT
from tests.integration.port_estate import SECRET, Api
from vaultctl.main import run

_NUMBERS = itertools.count()


@dataclass
class Site:
    """Two servers of OpenBao, one of ours, and what archives are made with."""

    bao: Api
    other_bao: Api
    coffre: Api
    folder: Path

    @property
    def sealing(self) -> list[str]:
        """What an export is encrypted to and signed by."""
        return [f"-recipients-file={self.folder / 'recipients'}", f"-sign-key={self.folder / 'key'}"]

    @property
    def opening(self) -> list[str]:
        """What opens it."""
        return [f"-identity={self.folder / 'identity'}", f"-signers={self.folder / 'signers'}"]


@dataclass
class Said:
    """What a command said, with the report where it printed one."""

    code: int
    out: str
    err: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


@contextmanager
def servers(folder: Path) -> Iterator[Site]:
    """Start the three, and make the keys of archives."""
    identity = pyrage.x25519.Identity.generate()
    (folder / "identity").write_text(f"{identity}\n")
    (folder / "recipients").write_text(f"{identity.to_public()}\n")
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key")]
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL)
    (folder / "signers").write_text(f"operators {(folder / 'key.pub').read_text()}")
    with (
        dev_server("openbao", _made(folder / "bao")) as bao,
        dev_server("openbao", _made(folder / "other")) as other,
        dev_server("coffre", _made(folder / "coffre")) as coffre,
    ):
        first, second, third = (Api(one.address, one.token) for one in (bao, other, coffre))
        yield Site(first, second, third, folder)


def typed(*line: object, to: Api, source: Api | None = None, form: str = "json") -> Said:
    """Run `vaultctl port …` with a destination, and a source where there is one."""
    environ = {"BAO_ADDR": to.address, "BAO_TOKEN": to.token, "BAO_NAMESPACE": to.namespace}
    argv = ["port", *map(str, line), f"-format={form}"]
    if source is not None:
        environ["BAO_FROM_TOKEN"] = source.token
        argv += [f"-from={source.address}", f"-from-namespace={source.namespace}"]
    stdout, stderr = io.StringIO(), io.StringIO()
    code = run(argv, environ=environ, stdin=io.StringIO(), stdout=stdout, stderr=stderr)
    said = Said(code, stdout.getvalue(), stderr.getvalue())
    assert SECRET not in said.out + said.err
    return said


def start(words: list[str], *, to: Api, source: Api | None = None) -> subprocess.Popen[str]:
    """Start `vaultctl port …` as a process of its own."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
    environ |= {"BAO_ADDR": to.address, "BAO_TOKEN": to.token, "BAO_NAMESPACE": to.namespace}
    environ["PYTHONPATH"] = f"{ROOT}:{ROOT / 'cli'}"
    more = []
    if source is not None:
        environ["BAO_FROM_TOKEN"] = source.token
        more = [f"-from={source.address}", f"-from-namespace={source.namespace}"]
    return subprocess.Popen(
        [sys.executable, "-m", "vaultctl", "port", *words, *more, "-format=json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )


def equal(source: Api, destination: Api, *more: str) -> None:
    """Assert that all of two servers is equal."""
    said = typed("verify", *more, to=destination, source=source)
    assert said.err == ""
    assert said.report["differences"] == [], said.out
    assert said.code == 0


def two_namespaces(site: Site) -> tuple[Api, Api]:
    """A new namespace of OpenBao, and one of ours."""
    name = f"n{next(_NUMBERS)}"
    return site.bao.within(name), site.coffre.within(name)


def small(api: Api) -> None:
    """A few secrets in a namespace."""
    api("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}})
    api("POST", "sys/mounts/old", {"type": "kv", "options": {"version": "1"}})
    for number in range(12):
        api("POST", f"kv/data/app/s{number}", {"data": {"v": f"{SECRET}{number}"}})
        api("POST", f"old/s{number}", {"v": f"{SECRET}{number}"})


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
