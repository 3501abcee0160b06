# SPDX-License-Identifier: EUPL-1.2
"""Secrets of version 2 as they are written: version by version, each under the number that it had.

1. What is there already is compared. What is a beginning of what is to be there is gone on from.
2. Settings are made that let all versions stay while they are written.
3. Versions are written in their order, each on the condition that it gets its number (`cas`). A number whose value is
   not to be had is taken by an empty one.
4. Versions are deleted and destroyed, as they were.
5. The settings are made as they were.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from vaultctl.flags import parse_duration
from vaultctl.port.ground import canonical, clock
from vaultctl.port.ground.entry import AGAIN, UNCHANGED, WRITTEN, Entry, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.port.kv.mount import Mount
from vaultctl.port.kv.version2 import current, moment, settings, state, versions
from vaultctl.text.json import as_list, as_map

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

_USUAL_VERSIONS = 10
"""How many versions are kept where nothing says so."""
_APART = timedelta(seconds=60)
"""By how much sooner a version may be deleted: clocks are not the same."""
_SOONER = (
    "its mount there deletes versions sooner than the source: set delete_version_after of its config to 0s, "
    "and run the same command again"
)
OTHER = "the destination has other versions there; -replace removes them"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is done at most: `fillers` are empty versions that take the numbers of those that are gone."""

    fillers: int = 1000


@dataclass(frozen=True, slots=True)
class Retention:
    """What a mount keeps of each secret: how many versions, and for how many seconds. 0 where it says nothing."""

    most: int = 0
    seconds: int = 0

    @classmethod
    def of(cls, config: Mapping[str, object]) -> Self:
        """As a mount's settings say it."""
        most, after = config.get("max_versions"), str(config.get("delete_version_after") or "")
        seconds = parse_duration(after, "delete_version_after") // 10**9
        return cls(most if isinstance(most, int) else 0, seconds)


def put(
    server: Server, mount: Mount, entry: Entry, *, ours: bool, retention: Retention, limits: Limits = Limits()
) -> Outcome:
    """Write a secret so that it is as it was; `ours` says that other versions there may be removed."""
    return _Secret(server, mount, entry, retention, limits).put(ours=ours)


def remove(server: Server, mount: Mount, key: str) -> None:
    """Delete a secret with all its versions, which is no longer at the source."""
    server.delete(f"{mount.base}metadata/{key}")


class _Secret:
    """One secret, what it is to be and what it is."""

    def __init__(
        self, server: Server, mount: Mount, entry: Entry, retention: Retention, limits: Limits
    ) -> None:
        self._server, self._limits = server, limits
        self._base, self._key = mount.base, mount.key(entry.name.path)
        self._retention = retention
        data = entry.data
        number = data["current"]
        self._current = number if isinstance(number, int) else 0
        self._settings = as_map(data["settings"])
        self._wanted = {int(str(one["version"])): one for one in map(as_map, as_list(data["versions"]))}
        self._made: dict[str, object] = {}  # settings as they are there
        self._cas: int | None = None

    def put(self, *, ours: bool) -> Outcome:
        """Do what the module says."""
        # 1. What is there.
        present = self._server.read(f"{self._base}metadata/{self._key}")
        if not self._has_kept(present or {}):
            return AGAIN
        goes_on = present is None or self._begins(present, ours=ours)
        if not goes_on and not ours:
            return Outcome("left", OTHER)
        if not goes_on and any(version.get("kept") for version in self._wanted.values()):
            return AGAIN
        begun = current(present or {}) if goes_on else 0
        written = [
            number for number in self._wanted if begun < number <= self._current and self._has_value(number)
        ]
        fillers = (
            self._current - begun - len(written)
        )  # counted by what is there: others said how many there are
        if fillers > self._limits.fillers:
            return Outcome(
                "refused",
                f"{fillers} versions are gone at the source, and as many empty ones would have to be written to keep the "
                "numbers; -fillers allows more",
            )
        if self._ends_sooner(begun):
            return Outcome("left", _SOONER)
        if not goes_on:  # and not before it is known that it will be written
            self._server.delete(f"{self._base}metadata/{self._key}")
            present = None
        self._made = settings(present or {})
        if present is not None and present.get("metadata_cas_required"):
            number = present.get("current_metadata_version")
            self._cas = number if isinstance(number, int) else 0
        # 2. to 5.
        changed = self._make_room(new=present is None)
        changed |= self._write_versions(begun)
        changed |= self._delete_and_destroy(known=begun, fillers=fillers)
        changed |= self._set(self._settings)
        return WRITTEN if changed else UNCHANGED

    def _has_kept(self, present: Mapping[str, object]) -> bool:
        """Whether the versions that the journal says are there are."""
        now, listed = clock.now(), versions(present)
        kept = [number for number, version in self._wanted.items() if version.get("kept")]
        return all(state(listed.get(number), now) == "alive" for number in kept)

    def _ends_sooner(self, begun: int) -> bool:
        """Whether the mount would delete a living version, of those to be written, before the source does."""
        if not self._retention.seconds:
            return False
        latest = clock.now() + timedelta(seconds=self._retention.seconds) + _APART
        ends = [
            moment(version.get("ends"))
            for number, version in self._wanted.items()
            if number > begun and version["state"] == "alive"
        ]
        return any(end is None or end > latest for end in ends)

    def _has_value(self, number: int) -> bool:
        return bool({"value", "kept"} & set(self._wanted.get(number, {})))

    def _begins(self, present: Mapping[str, object], *, ours: bool) -> bool:
        """Whether the versions that are there are the first of those that are to be there."""
        if current(present) > self._current:
            return False
        now, listed = clock.now(), versions(present)
        for number in range(1, current(present) + 1):
            there = state(listed.get(number), now)
            if self._wanted.get(number, {}).get("kept"):
                continue
            if not self._has_value(number):
                if there == "alive" and not ours and self._value(number):
                    return False
                continue
            if there == "deleted" and ours:
                self._server.write(f"{self._base}undelete/{self._key}", {"versions": [number]})
                there = "alive"
            wanted = canonical.value_of(self._wanted[number]["value"])
            if there != "alive" or canonical.encode(self._value(number)) != canonical.encode(wanted):
                return False
        return True

    def _value(self, number: int) -> object:
        answer = self._server.read(f"{self._base}data/{self._key}", {"version": str(number)})
        return None if answer is None else answer.get("data")

    def _make_room(self, *, new: bool) -> bool:
        """Let no version that is to stay be dropped while the others are written."""
        oldest = min((number for number in self._wanted if self._has_value(number)), default=self._current)
        span = self._current - oldest + 1
        wished = self._settings.get("max_versions")
        kept = max(wished if isinstance(wished, int) else 0, self._retention.most) or _USUAL_VERSIONS
        meanwhile = {
            **self._settings,
            "metadata_cas_required": self._made.get("metadata_cas_required", False),
            "delete_version_after": self._made.get("delete_version_after", "0s"),
        }
        if span > kept:
            meanwhile["max_versions"] = span
        if new and not self._current:  # a secret that has settings alone
            self._post(self._settings)
            return True
        return self._set(meanwhile)

    def _write_versions(self, begun: int) -> bool:
        for number in range(begun + 1, self._current + 1):
            wanted = self._wanted.get(number, {})
            self._set_end(str(wanted.get("ends") or ""))
            value = canonical.value_of(wanted["value"]) if "value" in wanted else {}
            self._server.write(
                f"{self._base}data/{self._key}", {"data": value, "options": {"cas": number - 1}}
            )
        return begun < self._current

    def _set_end(self, end: str) -> None:
        """Let the next version be deleted by itself when the one at the source is."""
        until = moment(end)
        if until is None:
            after = "0s"
        else:
            after = f"{max(1, math.ceil((until - clock.now()).total_seconds()))}s"
        self._set({**self._made, "delete_version_after": after})

    def _delete_and_destroy(self, *, known: int, fillers: int) -> bool:
        if not (known or fillers or any(one["state"] != "alive" for one in self._wanted.values())):
            return False
        now = clock.now()
        metadata = self._server.read(f"{self._base}metadata/{self._key}") or {}
        deleted: list[int] = []
        destroyed: list[int] = []
        for number, about in versions(metadata).items():
            there, wanted = state(about, now), str(self._wanted.get(number, {}).get("state", "destroyed"))
            if wanted == "deleted" and there == "alive":
                deleted.append(number)
            elif wanted == "destroyed" and there != "destroyed":
                destroyed.append(number)
        for word, numbers in (("delete", deleted), ("destroy", destroyed)):
            if numbers:
                self._server.write(f"{self._base}{word}/{self._key}", {"versions": numbers}, method="PUT")
        return bool(deleted or destroyed)

    def _set(self, wanted: Mapping[str, object]) -> bool:
        changed = {name: value for name, value in wanted.items() if value != self._made.get(name)}
        if changed:
            self._post(changed)
        return bool(changed)

    def _post(self, changed: Mapping[str, object]) -> None:
        body = dict(changed)
        if self._cas is not None:
            body["metadata_cas"] = self._cas
            self._cas += 1
        self._server.write(f"{self._base}metadata/{self._key}", body)
        self._made.update(changed)
        if changed.get("metadata_cas_required"):
            self._cas = None  # it was the last
