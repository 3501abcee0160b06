# SPDX-License-Identifier: EUPL-1.2
"""Secrets of version 2 as they are read: metadata, and the value of every version that has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial

from vaultctl.errors import CommandError
from vaultctl.port.ground import canonical, clock
from vaultctl.port.ground.entry import Entry, Item, Name
from vaultctl.port.ground.server import Server
from vaultctl.port.kv import undeletion
from vaultctl.port.kv.mount import Mount, Refused, walk
from vaultctl.port.kv.undeletion import Undeletion
from vaultctl.text.json import as_list, as_map

KIND = undeletion.KIND
_SETTINGS: Mapping[str, object] = {
    "max_versions": 0,
    "cas_required": False,
    "metadata_cas_required": False,
    "delete_version_after": "0s",
    "custom_metadata": {},
}
_TRIES = 5


def moment(text: object) -> datetime | None:
    """A time of RFC 3339, to the microsecond; None where there is none."""
    if not text:
        return None
    head, _, fraction = str(text).rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{fraction[:6]:0<6}" if fraction else head).replace(tzinfo=UTC)


def state(version: Mapping[str, object] | None, now: datetime) -> str:
    """Whether a version is alive, deleted or destroyed; one that is not listed any more is destroyed."""
    if version is None or version.get("destroyed"):
        return "destroyed"
    end = moment(version.get("deletion_time"))
    return "deleted" if end is not None and end <= now else "alive"


def settings(metadata: Mapping[str, object]) -> dict[str, object]:
    """The settings of a secret, each with its default where the server does not know it."""
    return {name: metadata.get(name) or default for name, default in _SETTINGS.items()}


def current(metadata: Mapping[str, object]) -> int:
    """The number of the newest version; 0 where there is none."""
    number = metadata.get("current_version")
    return number if isinstance(number, int) else 0


def versions(metadata: Mapping[str, object]) -> dict[int, dict[str, object]]:
    """What is known of each version that is listed, by its number."""
    listed = as_map(metadata.get("versions"))
    return {
        int(number): as_map(about) for number, about in sorted(listed.items(), key=lambda one: int(one[0]))
    }


def _alive(metadata: Mapping[str, object]) -> dict[int, str]:
    """By its number each living version, as the journal has it: with its time, for another may come to have the number."""
    now = clock.now()
    return {
        number: f"{number}@{about.get('created_time')}"
        for number, about in versions(metadata).items()
        if state(about, now) == "alive"
    }


class Reader:
    """Reads the secrets of one mount."""

    def __init__(
        self,
        server: Server,
        mount: Mount,
        note: Callable[[Name, str], None],
        *,
        undelete: Undeletion | None = None,
        known: Callable[[Name], str] = lambda _: "",
    ) -> None:
        """`note` is told of values that are not read.

        `undelete` keeps what is undeleted to be read; None leaves it deleted, and unread. `known` tells which versions of a
        secret need not be read, as `Item.versions` said it.
        """
        self._server, self._mount, self._undelete = server, mount, undelete
        self._note, self._known = note, known

    def items(self, refused: Refused) -> Iterator[Item]:
        """Every secret of the mount, but in folders that are refused, with a mark that changes with any of its versions, states or settings."""
        for key, about in walk(self._server, self._mount, "detailed-metadata/", "metadata/", refused=refused):
            metadata = as_map(about) or self._metadata(key)
            if not metadata:
                continue
            name = Name(KIND, self._mount.namespace, self._mount.path + key)
            try:
                self._note_deleted(name, metadata)
                alive, mark = _alive(metadata), self._mark(metadata)
            except ValueError:
                raise CommandError(
                    f"{name.text}: the server gives a version a number or a time that is none"
                ) from None
            yield Item(
                name,
                mark,
                partial(self.load, name, key, metadata, known=self._known(name)),
                versions=",".join(alive.values()),
                whole=partial(self.load, name, key),
            )

    def load(
        self, name: Name, key: str, metadata: Mapping[str, object] | None = None, *, known: str = ""
    ) -> Entry | None:
        """Read one; None where it is no longer there. CommandError where it never stays as it is."""
        for number in range(1, _TRIES + 1):
            about = metadata or self._metadata(key)
            if not about:
                return None
            found = self._versions(name, key, about, set(known.split(",")), last=number == _TRIES)
            if found is not None:
                return Entry(
                    name,
                    {
                        "mount": self._mount.path,
                        "current": current(about),
                        "settings": settings(about),
                        "versions": found,
                    },
                )
            metadata = None
        raise CommandError(f"{name.text}: its versions change faster than they can be read")

    def _note_deleted(self, name: Name, metadata: Mapping[str, object]) -> None:
        if self._undelete is None:
            now = clock.now()
            found = [
                str(number) for number, about in versions(metadata).items() if state(about, now) == "deleted"
            ]
            if found:
                self._note(
                    name,
                    f"deleted versions {', '.join(found)} move without their values; -undelete reads them",
                )

    def _metadata(self, key: str) -> dict[str, object]:
        return self._server.read(f"{self._mount.base}metadata/{key}") or {}

    def _mark(self, metadata: Mapping[str, object]) -> str:
        now, read = clock.now(), "" if self._undelete is None else "read"
        listed = [
            [
                number,
                about.get("created_time"),
                found,
                about.get("deletion_time") if found == "alive" else read,
            ]
            for number, about in versions(metadata).items()
            for found in [state(about, now)]
        ]
        return canonical.encode([current(metadata), settings(metadata), listed]).decode()

    def _versions(
        self, name: Name, key: str, metadata: Mapping[str, object], known: set[str], *, last: bool
    ) -> list[object] | None:
        """The versions with their values; None where one changed meanwhile.

        One whose end is near is deleted by then where the server's clock is before ours: the `last` time its word counts.
        """
        now, alive = clock.now(), _alive(metadata)
        found: list[object] = []
        for number, about in versions(metadata).items():
            word = state(about, now)
            version: dict[str, object] = {
                "version": number,
                "state": word,
                "created": about.get("created_time") or "",
                "ends": (about.get("deletion_time") or "") if word == "alive" else "",
            }
            if alive.get(number) in known:
                version["kept"] = True
            elif word == "alive" or (word == "deleted" and self._undelete is not None):
                value = self._value(key, number) if word == "alive" else self._deleted(name, key, number)
                if value is not None:
                    version["value"] = canonical.exact(value)
                elif last and version["ends"]:
                    version.update(state="deleted", ends="")
                else:
                    return None
            found.append(version)
        return found

    def _value(self, key: str, number: int) -> dict[str, object] | None:
        answer = self._server.read(f"{self._mount.base}data/{key}", {"version": str(number)})
        value = None if answer is None else answer.get("data")
        return value if isinstance(value, dict) else None

    def _deleted(self, name: Name, key: str, number: int) -> dict[str, object] | None:
        """The value of a deleted version, which is undeleted for the time of one read."""
        if self._undelete is None:
            return None
        value = partial(self._value, key, number)
        return self._undelete.read(self._server, self._mount, name, number, value)


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides: numbers, values, states, settings, and which versions end. Times are not."""
    alive: dict[str, object] = {}
    deleted: list[object] = []
    ending: list[object] = []
    for one in map(as_map, as_list(data["versions"])):
        if one["state"] == "alive":
            alive[str(one["version"])] = canonical.value_of(one["value"])
            if one.get("ends"):
                ending.append(one["version"])
        elif one["state"] == "deleted":
            deleted.append(one["version"])
    return {
        "current": data["current"],
        "settings": data["settings"],
        "alive": alive,
        "deleted": deleted,
        "ending": ending,
    }
