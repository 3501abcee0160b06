# SPDX-License-Identifier: EUPL-1.2
"""A key as a whole, with its settings and all its versions, as a backup has it; and the other way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from vault.engines.transit.keys.key_ring import OpenVersion
from vault.engines.transit.keys.key_types import HMAC, KEY_TYPES, KeyType, Material
from vault.engines.transit.keys.model import KeyCopy, TransitKey
from vault.engines.transit.keys.rotation import NO_ROTATION, PERIOD, SHORTEST_PERIOD
from vault.engines.transit.moving.backup_entry import material, written
from vault.engines.transit.moving.backup_form import (
    CONVERGENT,
    COUNTER,
    HKDF,
    NUMBERS,
    TYPES,
    Archive,
    CopyInfo,
    Entry,
    KeyData,
    Policy,
    read_backup,
)
from vault.framework.clock import Entropy, rfc3339
from vault.framework.errors import Malformed
from vault.values.encoding import NotBase64, from_base64
from vault.values.times import Nanos, Seconds, nanos_to_seconds, seconds_to_nanos

LONGEST: Final = 1 << 24
"""Characters of a backup: one of 10,000 versions of AES has some 11 million."""
_LATEST: Final = 1 << 31
_LONGEST_CHAIN: Final = 1 << 18
"""Bytes of a chain of certificates."""
_NAME: Final = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]*+(?<=[0-9A-Za-z_]))?")
"""As the names in the paths of keys."""
_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?(Z|[+-][0-9]{2}:[0-9]{2})"
)
_LAST_YEAR: Final = 2261
"""The last year whose nanoseconds since 1970 have 63 bits."""
_NEWEST_CONVERGENT: Final = -1
_NUMBERS: Final = "the numbers of versions in the backup do not fit together"


class RestoredVersion(msgspec.Struct, frozen=True):
    """A version of a backup."""

    created: Nanos
    material: Material
    chain: tuple[bytes, ...] = ()

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "RestoredVersion(…)"


class RestoredKey(msgspec.Struct, frozen=True):
    """A key of a backup with its versions by their numbers, and the name that it had."""

    name: str
    settings: TransitKey
    versions: Mapping[int, RestoredVersion]

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "RestoredKey(…)"


def key_data(name: str, key: TransitKey, versions: Mapping[int, OpenVersion]) -> KeyData:
    """Return the backup of a key with all its versions. `key` says that it was backed up."""
    entries = {number: written(key, version) for number, version in versions.items()}
    archived = [Entry()] if key.min_available == 0 else []
    archived += [entries[number] for number in range(key.first, key.latest + 1)]
    return KeyData(
        policy=Policy(
            name=name,
            key_size=key.key_size or msgspec.UNSET,
            keys={str(number): entry for number, entry in entries.items() if number >= key.min_decryption},
            derived=key.derived,
            kdf=HKDF if key.derived and not key.counter_kdf else COUNTER,
            convergent_encryption=key.convergent,
            exportable=key.exportable,
            min_decryption_version=key.min_decryption,
            min_encryption_version=key.min_encryption,
            latest_version=key.latest,
            archive_version=key.latest,
            archive_min_version=key.min_available,
            min_available_version=key.min_available,
            deletion_allowed=key.deletion_allowed,
            convergent_version=_NEWEST_CONVERGENT if key.convergent else 0,
            type=NUMBERS[key.type],
            backup_info=_info(key.backed_up),
            restore_info=_info(key.restored),
            allow_plaintext_backup=key.plaintext_backup,
            auto_rotate_period=seconds_to_nanos(key.auto_rotate),
            imported=key.imported,
            allow_rotation=key.allow_rotation,
            soft_deleted=key.soft_deleted,
        ),
        archived_keys=Archive(keys=archived),
    )


def restored_key(text: str, entropy: Entropy, now: Nanos) -> RestoredKey:
    """Return the key that a backup is of. With RSA it takes some milliseconds for each version. Raises `Malformed`."""
    if len(text) > LONGEST:
        raise Malformed("the backup is too long")
    try:
        data = read_backup(from_base64(text))
    except NotBase64 as error:
        raise Malformed(f"illegal base64 data at input byte {error.at}") from None
    policy = data.policy
    kind = KEY_TYPES[TYPES[policy.type]]
    _require_sense(policy, kind)
    versions = {number: _version(kind, policy, entry, entropy) for number, entry in _entries(data).items()}
    newest = versions[policy.latest_version].material
    return RestoredKey(policy.name, _settings(policy, kind, newest, entropy, now), versions)


def require_name(name: str) -> None:
    """Refuse a name that no path has. Raises `Malformed`."""
    if "/" in name:
        raise Malformed("key names cannot be paths")
    if not _NAME.fullmatch(name):
        raise Malformed("the name of the key may have letters, digits, `_`, and between them `.` and `-`")


def _require_sense(policy: Policy, kind: KeyType) -> None:
    """Refuse settings that no key can have. Raises `Malformed`."""
    first = max(policy.min_available_version, 1)
    latest, decryption = policy.latest_version, policy.min_decryption_version
    if not (
        policy.min_available_version >= 0
        and first <= decryption <= latest < _LATEST
        and (policy.min_encryption_version == 0 or decryption <= policy.min_encryption_version <= latest)
        and policy.min_available_version <= (policy.min_encryption_version or policy.min_available_version)
    ):
        raise Malformed(_NUMBERS)
    period = policy.auto_rotate_period
    if period != 0 and not seconds_to_nanos(SHORTEST_PERIOD) <= period < 1 << 63:
        raise Malformed(PERIOD)
    if period and policy.imported and not policy.allow_rotation:
        raise Malformed(NO_ROTATION)
    if policy.derived and (not kind.derives or policy.kdf not in {COUNTER, HKDF}):
        raise Malformed("the backup is of a key that is derived in no way that is known")
    if policy.derived and policy.kdf == COUNTER and kind.aead is None:
        raise Malformed(f"an imported key of type {kind.name} cannot be derived")
    if policy.convergent_encryption and (
        not policy.derived
        or kind.aead is None
        or policy.kdf != HKDF
        or policy.convergent_version not in {_NEWEST_CONVERGENT, CONVERGENT}
    ):
        raise Malformed("the backup is of a convergent key of a version that is not known")


def _entries(data: KeyData) -> Mapping[int, Entry]:
    """Return all versions, each from where it is. Raises `Malformed` where one is missing."""
    policy = data.policy
    archived = (data.archived_keys and data.archived_keys.keys) or ()
    found = {}
    for number in range(max(policy.min_available_version, 1), policy.latest_version + 1):
        entry = policy.keys.get(str(number))
        place = number - policy.min_available_version
        if entry is None and place < len(archived):
            entry = archived[place]
        if entry is None:
            raise Malformed(_NUMBERS)
        found[number] = entry
    return found


def _version(kind: KeyType, policy: Policy, entry: Entry, entropy: Entropy) -> RestoredVersion:
    if policy.convergent_encryption and entry.convergent_version != CONVERGENT:
        raise Malformed("the backup is of a convergent key of a version that is not known")
    chain = tuple(entry.certificate_chain or ())
    if chain and (not kind.pair or sum(map(len, chain)) > _LONGEST_CHAIN):
        raise Malformed("a version in the backup has certificates that are none")
    created = _nanos(entry.time) or seconds_to_nanos(Seconds(min(max(entry.creation_time, 0), _LATEST)))
    return RestoredVersion(created, material(kind, entry, entropy), chain)


def _settings(policy: Policy, kind: KeyType, newest: Material, entropy: Entropy, now: Nanos) -> TransitKey:
    return TransitKey(
        id=entropy.uuid(),
        type=kind.name,
        latest=policy.latest_version,
        first=max(policy.min_available_version, 1),
        min_decryption=policy.min_decryption_version,
        min_encryption=policy.min_encryption_version,
        min_available=policy.min_available_version,
        derived=policy.derived,
        convergent=policy.convergent_encryption,
        exportable=policy.exportable,
        plaintext_backup=policy.allow_plaintext_backup,
        deletion_allowed=policy.deletion_allowed,
        soft_deleted=policy.soft_deleted,
        auto_rotate=nanos_to_seconds(policy.auto_rotate_period),
        key_size=len(newest.secret) if kind.name == HMAC else 0,
        imported=policy.imported,
        allow_rotation=policy.allow_rotation,
        counter_kdf=policy.derived and policy.kdf == COUNTER,
        backed_up=_copy(policy.backup_info),
        restored=KeyCopy(now, policy.latest_version),
    )


def _info(copied: KeyCopy | None) -> CopyInfo | None:
    return CopyInfo(time=rfc3339(copied.time), version=copied.version) if copied is not None else None


def _copy(info: CopyInfo | None) -> KeyCopy | None:
    return KeyCopy(_nanos(info.time), min(max(info.version, 0), _LATEST)) if info is not None else None


def _nanos(text: str) -> Nanos:
    """Return a time in RFC 3339, to its last digit; 0 for what is none, was before 1970 or is after `_LAST_YEAR`."""
    found = _TIME.fullmatch(text) if len(text) < 64 else None
    try:
        whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00")) if found else None
    except ValueError:
        whole = None
    if found is None or whole is None or not 1970 <= whole.year <= _LAST_YEAR:
        return Nanos(0)
    seconds = Seconds(int(whole.astimezone(UTC).timestamp()))
    return Nanos(max(seconds_to_nanos(seconds) + int((found[2] or "0").ljust(9, "0")), 0))
