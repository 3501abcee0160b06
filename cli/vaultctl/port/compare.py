# SPDX-License-Identifier: EUPL-1.2
"""Two sides compared entry by entry, by digests with a key that exists for one comparison: none of them says anything."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from vaultctl.errors import ApiError, DepthError
from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import Entry, Item, Name
from vaultctl.port.ground.report import KIND, Report
from vaultctl.port.ground.server import reason
from vaultctl.port.kv import version1, version2
from vaultctl.port.settings import identity, mounts, namespaces, plain, policies, transit
from vaultctl.port.source import LISTS
from vaultctl.text.json import as_list

_COMPARABLE: Mapping[str, Callable[[Mapping[str, object]], object]] = {
    version1.KIND: version1.comparable,
    version2.KIND: version2.comparable,
    mounts.ENGINE: mounts.comparable,
    mounts.METHOD: mounts.comparable,
    namespaces.KIND: namespaces.comparable,
    identity.ENTITY: identity.comparable,
    identity.GROUP: identity.comparable,
    policies.KIND: policies.comparable,
    transit.KIND: transit.comparable,
}
_WINDOW = 256


@dataclass(frozen=True, slots=True)
class Side:
    """One side's entries: of each, the digests of what has to be equal."""

    key: bytes = field(repr=False)
    entries: dict[Name, dict[str, str]] = field(default_factory=dict, repr=False)
    lists: dict[tuple[str, str, str], set[str]] = field(default_factory=dict, repr=False)
    """Which paths there are, by kind, namespace and beginning: others with that beginning are gone."""

    def is_gone(self, name: Name) -> bool:
        """Whether a list says that there is no such entry."""
        return any(
            (name.kind, name.namespace) == (kind, namespace)
            and name.path.startswith(base)
            and name.path not in known
            for (kind, namespace, base), known in self.lists.items()
        )

    def total(self, kind: str) -> str:
        """One digest over all entries of a kind."""
        found = sorted((name.namespace, name.path) for name in self.entries if name.kind == kind)
        return canonical.digest(
            self.key, [[*where, dict(self.entries[Name(kind, *where)])] for where in found]
        )


def new_key() -> bytes:
    """A key for one comparison."""
    return secrets.token_bytes(32)


def gather(
    items: Iterable[Item],
    key: bytes,
    report: Report,
    *,
    threads: int,
    progress: Callable[[int], None] = lambda _: None,
) -> Side:
    """Read one side; the report names what could not be. Of an archive, what comes later counts, and what is gone is gone."""
    side = Side(key)
    with ThreadPoolExecutor(threads) as pool:
        waiting: list[Item] = []
        for number, item in enumerate(items, 1):
            progress(number)
            waiting.append(item)
            if len(waiting) >= _WINDOW or item.name.kind in LISTS:
                _take(side, pool, waiting, report)
                waiting = []
        _take(side, pool, waiting, report)
    return side


def _take(side: Side, pool: ThreadPoolExecutor, items: list[Item], report: Report) -> None:
    for item, (entry, parts) in zip(items, pool.map(lambda one: _digests(side.key, one), items), strict=True):
        if isinstance(entry, ApiError):
            report.leave(item.name, reason(entry))
        elif entry is None:
            continue
        elif entry.name.kind == KIND:
            report.take(entry.data)
        elif entry.name.kind in LISTS:
            _drop_gone(side, entry)
        else:
            side.entries[entry.name] = parts


def _digests(key: bytes, item: Item) -> tuple[Entry | ApiError | None, dict[str, str]]:
    try:
        entry = item.load()
        if entry is None or entry.name.kind in (*LISTS, KIND):
            return entry, {}
        return entry, _parts(key, entry)
    except ApiError as error:
        if error.status >= 500 and error.status != 501:
            raise
        return error, {}
    except DepthError:  # what is not looked at is equal to nothing
        return Entry(item.name, {}), {"levels that are too many": secrets.token_hex()}


def _parts(key: bytes, entry: Entry) -> dict[str, str]:
    found = _COMPARABLE.get(entry.name.kind, plain.comparable)(entry.data)
    parts = found if isinstance(found, dict) and entry.name.kind != version1.KIND else {"value": found}
    return {str(name): canonical.digest(key, value)[:32] for name, value in parts.items()}


def _drop_gone(side: Side, entry: Entry) -> None:
    where, base = entry.name, str(entry.data.get("base", entry.name.path))
    kind = str(entry.data.get("kind") or (version1.KIND if entry.data["version"] == "1" else version2.KIND))
    known = {base + str(name) for name in as_list(entry.data["names"])}
    one = Side(side.key, lists={(kind, where.namespace, base): known})
    side.lists.update(one.lists)
    for name in [name for name in side.entries if one.is_gone(name)]:
        del side.entries[name]


def within(side: Side, other: Side) -> Side:
    """Of one side what the other has, or says that it is gone: a delta holds what changed, and says nothing of the rest."""
    return Side(
        side.key,
        {name: parts for name, parts in side.entries.items() if name in other.entries or other.is_gone(name)},
    )


def differences(source: Side, destination: Side) -> list[dict[str, object]]:
    """Where the sides are not equal: which entry, and in what."""
    found: list[dict[str, object]] = []
    for name in sorted({*source.entries, *destination.entries}, key=lambda one: (one.kind, one.text)):
        one, other = source.entries.get(name), destination.entries.get(name)
        if one == other:
            continue
        if one is None or other is None:
            what = "only at the destination" if one is None else "only at the source"
        else:
            what = "differs in " + ", ".join(
                sorted(part for part in {*one, *other} if one.get(part) != other.get(part))
            )
        found.append({"kind": name.kind, "path": name.text, "what": what})
    return found


def summary(source: Side, destination: Side) -> dict[str, object]:
    """How many entries of each kind each side has, and whether all of them are equal."""
    counts = [Counter(name.kind for name in side.entries) for side in (source, destination)]
    return {
        kind: {
            "source": counts[0][kind],
            "destination": counts[1][kind],
            "equal": source.total(kind) == destination.total(kind),
        }
        for kind in sorted({*counts[0], *counts[1]})
    }
