# SPDX-License-Identifier: EUPL-1.2
"""Keys of transit: whole, by backup and restore, where a key allows it; else by export and import, version by version.

A key that allows neither stays where it is: what it protects has to be encrypted anew, or the key allowed to leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from vaultctl.errors import ApiError
from vaultctl.port.ground import canonical
from vaultctl.port.ground.entry import UNCHANGED, WRITTEN, Entry, Item, Name, Outcome
from vaultctl.port.ground.server import Server
from vaultctl.port.settings import names
from vaultctl.port.settings.plain import Note, unset
from vaultctl.port.settings.wrapping import wrapped
from vaultctl.text.json import as_map

KIND = "transit-key"
OTHER = "the destination has another key of that name; -replace removes it"
_NOT_REPLACED = (
    "the destination has another key of that name, and an import replaces none: delete that one first"
)
NEWER = "the destination's key has newer versions, and what they encrypted would be lost: remove it there if it may be"
_CONFIG = (
    "min_decryption_version",
    "min_encryption_version",
    "deletion_allowed",
    "exportable",
    "allow_plaintext_backup",
    "auto_rotate_period",
)
_TAKEN_BACK = ("min_encryption_version", "deletion_allowed", "auto_rotate_period")
"""Settings that a key may have and lose again; the others are for good."""
_MADE = ("type", "derived", "convergent_encryption", "latest_version", "min_available_version")
_STAYS = "it allows neither export nor plaintext backup: `exportable=true allow_plaintext_backup=true` on its config lets it move"
_OF_IMPORT = "it moves by import: MACs that it made are not verified there"


def items(server: Server, namespace: str, mount: str, note: Note) -> Iterator[Item]:
    """Every key, with a mark that changes with its versions and settings."""
    known = [found for found in server.names(f"{namespace}{mount}keys") if not found.endswith("/")]
    yield names.item(Name(KIND, namespace, f"{mount}keys/"), known)
    for found in known:
        name = Name(KIND, namespace, f"{mount}keys/{found}")
        about = server.read(name.namespace + name.path)
        if about is not None:
            if (
                about.get("exportable")
                and not about.get("allow_plaintext_backup")
                and about.get("type") != "hmac"
            ):
                note(name, _OF_IMPORT)
            mark = canonical.encode([_settings(about, (*_MADE, *_CONFIG)), about.get("keys")]).decode()
            yield Item(name, mark, partial(_load, server, name, mount=mount))


def _load(server: Server, name: Name, *, mount: str) -> Entry | None:
    about = server.read(name.namespace + name.path)
    if about is None:
        return None
    base, key = name.namespace + mount, name.path.rpartition("/")[2]
    data: dict[str, object] = {
        "mount": mount,
        "made": _settings(about, _MADE),
        "settings": _settings(about, _CONFIG),
    }
    if about.get("exportable"):
        versions = server.read(f"{base}export/{_purpose(about)}/{key}") or {}
        data["versions"] = as_map(versions.get("keys"))
        if about.get("allow_plaintext_backup"):
            data["backup"] = (server.read(f"{base}backup/{key}") or {}).get("backup")
    return Entry(name, data)


def _purpose(about: Mapping[str, object]) -> str:
    if about.get("type") == "hmac":
        return "hmac-key"
    return "encryption-key" if about.get("supports_encryption") else "signing-key"


def _settings(about: Mapping[str, object], names: tuple[str, ...]) -> dict[str, object]:
    return {name: about[name] for name in names if about.get(name) not in (None, False, 0, "")}


def comparable(data: Mapping[str, object]) -> object:
    """What has to be equal on both sides: the key itself, where a server tells it, and what it is for."""
    return {"made": data["made"], "settings": data["settings"], "versions": data.get("versions", {})}


def put(server: Server, entry: Entry, *, ours: bool) -> Outcome:
    """Bring a key, or what was added to it since. `ours` says that another key may be replaced, and never one with newer versions."""
    name, data = entry.name, entry.data
    if "versions" not in data:
        return Outcome("left", _STAYS)
    there = _load(server, name, mount=str(data["mount"]))
    if there is not None and canonical.encode(comparable(there.data)) == canonical.encode(comparable(data)):
        return UNCHANGED
    if there is not None and _latest(there.data) > _latest(data):
        return Outcome("left", NEWER)
    if there is not None and not ours and not _begins(there.data, data):
        return Outcome("left", OTHER)
    base, key = f"{name.namespace}{data['mount']}", name.path.rpartition("/")[2]
    if data.get("backup"):
        server.write(f"{base}restore/{key}", {"backup": data["backup"], "force": True})
        return WRITTEN
    return _import(server, base, key, data, there)


def _begins(there: Mapping[str, object], data: Mapping[str, object]) -> bool:
    """Whether the key that is there is the one that is to be there, with all of its versions or the first of them.

    Both tell versions from `min_decryption_version` on, so that one may tell more of the first ones.
    """
    wanted, found = as_map(data["versions"]), as_map(there.get("versions"))
    both = wanted.keys() & found.keys()
    return bool(both) and all(wanted[number] == found[number] for number in both)


def _latest(data: Mapping[str, object]) -> int:
    number = as_map(data["made"]).get("latest_version")
    return number if isinstance(number, int) else 0


def _import(server: Server, base: str, key: str, data: Mapping[str, object], there: Entry | None) -> Outcome:
    """Import the versions that are not there, in their order, and make the settings as they were."""
    made, wanted = as_map(data["made"]), as_map(data["versions"])
    latest = made.get("latest_version")
    numbers = range(1, (latest if isinstance(latest, int) else 0) + 1)
    if made.get("convergent_encryption") or sorted(wanted, key=int) != [str(number) for number in numbers]:
        return Outcome(
            "left",
            "convergent keys, and keys whose first versions are not told, move by backup alone: allow_plaintext_backup=true",
        )
    had = as_map(there.data.get("versions")) if there is not None else {}
    if there is not None and not _begins(there.data, data):
        return Outcome("left", _NOT_REPLACED)
    public = str((server.read(f"{base}wrapping_key") or {}).get("public_key"))
    for number in numbers:
        if str(number) in had:
            continue
        body = {
            "ciphertext": wrapped(str(wanted[str(number)]), public=public, kind=str(made["type"])),
            "hash_function": "SHA256",
        }
        if number > 1:
            server.write(f"{base}keys/{key}/import_version", body)
        else:
            more = {"type": made["type"], "derived": bool(made.get("derived")), "allow_rotation": True}
            server.write(f"{base}keys/{key}/import", {**body, **more, "exportable": True})
    settings = {name: value for name, value in as_map(data["settings"]).items() if name != "exportable"}
    more = as_map(there.data["settings"]) if there is not None else {}
    settings.update(
        {name: unset(more[name]) for name in _TAKEN_BACK if name in more and name not in settings}
    )
    try:
        if settings:
            server.write(f"{base}keys/{key}/config", settings)
    except ApiError as error:
        return Outcome("written", notes=(f"its settings were refused: status {error.status}",))
    return WRITTEN
