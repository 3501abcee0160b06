# SPDX-License-Identifier: EUPL-1.2
"""The stanzas `seal "KIND" { … }` and `hsm { … }`: which key slots there are, and what to do when they are away.

A single unnamed `seal "pkcs11"` is OpenBao's form, and its variables `BAO_HSM_…` go before the file. Keys
keep no secret here: a PIN and a static key stay sources until the slot needs them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from hsm.client.settings import Pkcs11Settings, settings_from
from hsm.errors import BadConfig
from vault.server.config.reader import Entry, Findings, nearest, read
from vault.server.config.seal_settings import HsmPolicy, SealSettings, ShamirSeal, StaticSeal
from vault.server.config.unsupported import IGNORED
from vault.server.config.values import Unreadable, boolean

KINDS: Final = ("shamir", "pkcs11", "static")
_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_LAST: Final = 1 << 31
"""Priority of the slot for shares: people come after machines."""
_ALIASES: Final = {"module": "lib", "token": "token_label", "label": "key_label"}
PKCS11_KEYS: Final = (
    *(field.name for field in msgspec.structs.fields(Pkcs11Settings)),
    *_ALIASES,
    "disabled",
)
"""What `seal "pkcs11"` may hold."""
_VARIABLES: Final = {
    "HSM_LIB": "lib",
    "HSM_SLOT": "slot",
    "HSM_TOKEN_LABEL": "token_label",
    "HSM_PIN": "pin",
    "HSM_KEY_LABEL": "key_label",
    "HSM_KEY_ID": "key_id",
    "HSM_MECHANISM": "mechanism",
    "HSM_RSA_OAEP_HASH": "rsa_oaep_hash",
}
"""After `BAO_` or `VAULT_`: the setting of the unnamed `seal "pkcs11"` that it goes before."""
_SOURCES: Final = ("file://", "credential://", "env://")

Stanza = tuple[Entry, Collection[Entry]]


def seals(
    found: Sequence[Stanza], environment: Mapping[str, str], findings: Findings
) -> tuple[SealSettings, ...]:
    """Read every `seal` stanza, in the order in which their slots are to be tried."""
    if not found:
        return _from_environment(environment, findings)
    _check_type(found, environment, findings)
    made: list[SealSettings] = []
    for entry, content in found:
        seal = _seal(entry, content, environment, findings, alone=_alone(found, entry))
        if seal is None:
            continue
        if any(other.name == seal.name for other in made):
            findings.refuse(entry, f"another seal has the name {seal.name}; give each its own name")
        made.append(seal)
    if sum(seal.kind == "shamir" for seal in made) > 1:
        findings.refuse(found[-1][0], 'there can be only one seal "shamir"; remove the others')
    _tell_of_twins(made, findings)
    return tuple(sorted(made, key=lambda seal: seal.priority))


def _tell_of_twins(made: Sequence[SealSettings], findings: Findings) -> None:
    """Warn of two slots that are one key in one token: when it is lost, both are."""
    first: dict[object, str] = {}
    for seal in made:
        if seal.pkcs11 is None or seal.disabled:
            continue
        one = seal.pkcs11
        token = (one.lib, one.library_parameters, one.token_label, one.token_serial, one.slot)
        key = (token, one.key_label, one.key_id)
        if key in first:
            findings.warnings.append(
                f'seal "pkcs11" {seal.name}: is the same key in the same token as {first[key]}, and no second way in'
            )
        first.setdefault(key, seal.name)


def policy(found: Sequence[Stanza], seals: Sequence[SealSettings], findings: Findings) -> HsmPolicy:
    """Read `hsm { … }`; what it says holds for every key slot."""
    values: dict[str, Any] = {}
    for entry, content in found:
        values |= read(HsmPolicy, "hsm", content, findings)
        if not any(seal.kind != "shamir" for seal in seals):
            findings.warn(entry, "hsm has no effect without a key slot; add a seal stanza")
    return HsmPolicy(**values)


def _alone(found: Sequence[Stanza], entry: Entry) -> bool:
    """Whether `entry` is the only stanza of its kind."""
    return sum(other.item.labels[0] == entry.item.labels[0] for other, _ in found) == 1


def _seal(
    entry: Entry,
    content: Collection[Entry],
    environment: Mapping[str, str],
    findings: Findings,
    *,
    alone: bool,
) -> SealSettings | None:
    kind = entry.item.labels[0]
    if kind == "pkcs11":
        seal = _pkcs11(entry, content, environment if alone else {}, findings)
    elif kind == "static":
        seal = _static(entry, content, findings)
    elif kind == "shamir":
        values = read(ShamirSeal, "seal", content, findings)
        seal = SealSettings(kind=kind, name=values.get("name", kind), priority=_LAST)
    else:
        findings.refuse(entry, f"this seal does not exist here; choose one of {', '.join(KINDS)}")
        return None
    if seal is not None and not _NAME.fullmatch(seal.name):
        findings.refuse(entry, "name must be lower-case letters, digits and hyphens, at most 63")
    return seal


def _pkcs11(
    entry: Entry, content: Collection[Entry], environment: Mapping[str, str], findings: Findings
) -> SealSettings | None:
    values: dict[str, str | int | float | bool] = {}
    for inner in content:
        key, value = inner.item.key, inner.item.value
        if key in IGNORED["seal"]:
            findings.warn(inner, f"{key} has no effect: {IGNORED['seal'][key]}")
        elif key not in PKCS11_KEYS:
            findings.refuse(inner, f"unknown setting {key} in seal{nearest(key, PKCS11_KEYS)}")
        elif key in values:
            findings.refuse(inner, f"{key} is set twice; keep one of them")
        elif len(inner.item.keys) > 1 or not isinstance(value, str | int | float):
            findings.refuse(inner, f"{key} must be a value, not a block or a list")
        else:
            values[key] = value
    if "name" not in values:
        _override(values, environment)
    return _made(entry, values, environment, findings)


def _made(
    entry: Entry | None,
    values: dict[str, str | int | float | bool],
    environment: Mapping[str, str],
    findings: Findings,
) -> SealSettings | None:
    try:
        disabled = boolean(values.pop("disabled", False))
        settings = settings_from(values, literal_pin=True, environment=environment or None)
    except (BadConfig, Unreadable) as refusal:
        problem = str(refusal) if isinstance(refusal, BadConfig) else f"disabled must be {refusal}"
        findings.problems.append(
            f"{entry.place}: {problem}" if entry else f"environment BAO_HSM_…: {problem}"
        )
        return None
    if settings.pin.warning:
        findings.warnings.append(f'seal "pkcs11" {settings.name}: {settings.pin.warning}')
    return SealSettings(
        kind="pkcs11", name=settings.name, priority=settings.priority, disabled=disabled, pkcs11=settings
    )


def _override(values: dict[str, str | int | float | bool], environment: Mapping[str, str]) -> None:
    """Let the variables go before the file. A PIN stays where it is: in its variable, or where that points."""
    for suffix, key in _VARIABLES.items():
        names = (f"BAO_{suffix}", f"VAULT_{suffix}")
        name = next((name for name in names if environment.get(name)), "")
        if name:
            for alias in [other for other, real in _ALIASES.items() if real == key]:
                values.pop(alias, None)
            literal = key == "pin" and not environment[name].startswith(_SOURCES)
            values[key] = f"env://{name}" if literal else environment[name]


def _static(entry: Entry, content: Collection[Entry], findings: Findings) -> SealSettings:
    values = read(StaticSeal, "seal", content, findings)
    for key, problem in (
        ("current_key_id", "names the key for good"),
        ("current_key", "is the key, as file://PATH or env://NAME"),
    ):
        if not values.get(key):
            findings.refuse(entry, f'seal "static" needs {key}, which {problem}')
    if bool(values.get("previous_key_id")) != bool(values.get("previous_key")):
        findings.refuse(entry, "previous_key_id and previous_key go together; set both or neither")
    for key in ("current_key", "previous_key"):
        if key in values and not values[key].reveal().startswith(("file://", "env://")):
            findings.warn(entry, f"{key} stands in the configuration file itself; use file:// or env://")
    static = StaticSeal(**values)
    return SealSettings(
        kind="static", name=static.name, priority=static.priority, disabled=static.disabled, static=static
    )


def _check_type(found: Sequence[Stanza], environment: Mapping[str, str], findings: Findings) -> None:
    wanted = _wanted(environment)
    if wanted and wanted not in {entry.item.labels[0] for entry, _ in found}:
        findings.refuse(
            found[0][0], f"BAO_SEAL_TYPE asks for {wanted}, the file for another seal; make them agree"
        )


def _from_environment(environment: Mapping[str, str], findings: Findings) -> tuple[SealSettings, ...]:
    """Make the seal that `BAO_SEAL_TYPE` names, from variables alone."""
    wanted = _wanted(environment)
    if wanted in {"", "shamir"}:
        return ()
    if wanted != "pkcs11":
        findings.problems.append(
            f'environment BAO_SEAL_TYPE: {wanted} needs a stanza; add seal "{wanted}" {{ … }}'
        )
        return ()
    values: dict[str, str | int | float | bool] = {}
    _override(values, environment)
    made = _made(None, values, environment, findings)
    return (made,) if made is not None else ()


def _wanted(environment: Mapping[str, str]) -> str:
    return environment.get("BAO_SEAL_TYPE") or environment.get("VAULT_SEAL_TYPE") or ""
