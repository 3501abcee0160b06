# SPDX-License-Identifier: EUPL-1.2
"""Writes what `api-spec/` derives from the code: `python -m vault.server.spec`, or `--check` to compare only."""

from __future__ import annotations

import inspect
import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Final

from vault.engines.system.release import VERSION
from vault.framework.clock import Clock, Entropy
from vault.framework.help.openapi import document
from vault.framework.request.operation import Operation
from vault.framework.route import Route
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.log.events import NOTICES, event_name
from vault.mount.table import Backend, Catalog
from vault.server import profile_spec
from vault.server.compose.app import Vault
from vault.server.config.settings import Config, Listener, StorageSettings
from vault.storage.memory import MemoryStorage
from vault.wire.v1 import STATUS

FOLDER: Final = Path(__file__).resolve().parents[2] / "api-spec"
"""Where the files are."""

_PATHS: Final = {"system": "sys/"}
"""Where a kind of mount lies that is not called like its path."""
_KINDS: Final = {"secret/": "kv", "sys/": "system"}
"""The kinds of mounts that lie elsewhere."""
_VERBS: Final = {
    Operation.READ: "GET",
    Operation.LIST: "LIST",
    Operation.SCAN: "SCAN",
    Operation.UPDATE: "POST",
    Operation.PATCH: "PATCH",
    Operation.DELETE: "DELETE",
}


def files() -> Mapping[str, str]:
    """Return the name and content of every generated file."""
    mounts = _routes()
    whole = document(mounts, version=VERSION)
    return {
        "openapi.json": _json(whole),
        **{f"openapi/{name}.json": _json(one) for name, one in profile_spec.documents(whole)},
        "routes.txt": "".join(f"{line}\n" for line in sorted(_lines(mounts))),
        "log/events.txt": "".join(f"{line}\n" for line in sorted(_events(mounts))),
        "log/clear.txt": "".join(f"{line}\n" for line in sorted(_clear(mounts))),
        "errors.json": _json(
            {
                kind.__name__: {"status": status, "meaning": (inspect.getdoc(kind) or "").partition("\n")[0]}
                for kind, status in STATUS.items()
            }
        ),
    }


def main(arguments: Sequence[str] | None = None, folder: Path = FOLDER) -> int:
    """Write the files into `folder`, or with `--check` tell which are out of date; return the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if list(given) not in ([], ["--check"]):
        sys.stderr.write("usage: python -m vault.server.spec [--check]\n")
        return 1
    stale = [name for name, text in files().items() if _read(folder / name) != text]
    if given:
        for name in stale:
            sys.stderr.write(f"api-spec/{name} is out of date; run: python -m vault.server.spec\n")
        return 1 if stale else 0
    for name in stale:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(files()[name], encoding="utf-8")
    return 0


def _routes() -> Mapping[str, Sequence[Route]]:
    """Return the routes of one mount of every kind that there is, by path, from the application itself."""
    config = Config(listeners=(Listener(kind="tcp"),), storage=StorageSettings(kind="inmem"))
    log = Log(stream=io.StringIO())
    vault = Vault(config, MemoryStorage(), clock=Clock(), entropy=Entropy(), metrics=Metrics(), log=log)
    return {path: list(backend.routes.declared) for path, backend in _mounts(vault.catalog)}


def _mounts(catalog: Catalog) -> Iterator[tuple[str, Backend]]:
    """Yield path and backend of one mount of every kind, in order of the paths; of KV both versions."""
    found = [("secret/", catalog.find("kv", {"version": "2"}, auth=False))]
    for auth in (True, False):
        for kind in catalog.names(auth=auth):
            path = f"auth/{kind}/" if auth else _PATHS.get(kind, f"{kind}/")
            found.append((path, catalog.find(kind, {}, auth=auth)))
    for path, backend in sorted(found, key=itemgetter(0)):
        assert backend is not None, path
        yield path, backend


def _lines(mounts: Mapping[str, Sequence[Route]]) -> Sequence[str]:
    """Return one line for each route: path, verb, and what is special about access to it."""
    return [
        " ".join([f"/v1/{mount}{route.template}", _VERBS[route.operation], *_flags(route)])
        for mount, routes in mounts.items()
        for route in routes
    ]


def _clear(mounts: Mapping[str, Sequence[Route]]) -> Iterator[str]:
    """Yield one line for each route with parameters that the log shows in clear: path, verb, their names."""
    for mount, routes in mounts.items():
        for route in routes:
            names = sorted(name for name, one in route.parameters.items() if one.clear and not one.in_path)
            if names:
                yield " ".join([f"/v1/{mount}{route.template}", _VERBS[route.operation], *names])


def _events(mounts: Mapping[str, Sequence[Route]]) -> set[str]:
    """Return one line for each event and route that it is of: name, path, verb; and one for help, and for each notice."""
    found = {f"{name} - NOTICE" for name in NOTICES}
    for mount, routes in mounts.items():
        kind = _KINDS.get(mount) or mount.rstrip("/").rpartition("/")[2]
        found.add(f"{event_name(None, kind, Operation.HELP)} /v1/{mount}* HELP")
        for route in routes:
            name = event_name(route, kind, route.operation)
            found.add(f"{name} /v1/{mount}{route.template} {_VERBS[route.operation]}")
    return found


def _flags(route: Route) -> Sequence[str]:
    access = route.access
    flags = {
        "public": access.public,
        "sudo": access.sudo,
        "when-sealed": access.when_sealed,
        "unaudited": access.unaudited,
        "create-or-update": bool(access.exists),
    }
    return [name for name, holds in flags.items() if holds]


def _json(value: object) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
