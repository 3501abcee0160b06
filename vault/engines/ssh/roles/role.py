# SPDX-License-Identifier: EUPL-1.2
"""What is kept of a role, and how what an operator writes becomes one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from vault.barrier.stored import RecordKind
from vault.barrier.view import ReadView
from vault.cache.known_records import KnownRecords
from vault.engines.ssh.forms.params import RoleParams
from vault.engines.ssh.roles.addresses import check_networks
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.framework.names import check_length
from vault.values.times import Seconds

ROLES: Final = "role/"
"""Prefix of roles by their names, in a mount's data."""
CA: Final = "ca"
OTP: Final = "otp"
_USUAL_PORT: Final = 22
_ALGORITHMS: Final = ("default", "ssh-rsa", "rsa-sha2-256", "rsa-sha2-512")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_FURTHEST: Final = 1 << 63
"""What is stored has no whole number from here on."""
_LENGTHS: Final = "error processing allowed_user_key_lengths: "
_KNOWN: Final = 1024
"""Roles in memory."""
_MOST: Final = 256
"""Options, extensions, key types or lengths of one role."""
LONGEST: Final = 65_536
"""Characters of each list of a role, of all its options or extensions, and of what certificates have of these."""
_NAMES: Final = 4096
"""Names in one list: each request that asks for one looks at all of them."""


class Role(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A role of certificates (`ca`) or of one-time passwords (`otp`). Texts with commas are kept as they were written."""

    kind: str
    default_user: str = ""
    allowed_users: str = ""
    cidr_list: str = ""
    exclude_cidr_list: str = ""
    port: int = _USUAL_PORT
    allowed_domains: str = ""
    allowed_users_template: bool = False
    allowed_domains_template: bool = False
    default_user_template: bool = False
    default_extensions_template: bool = False
    commas_in_templates: bool = False
    wildcards_in_templates: bool = False
    allowed_critical_options: str = ""
    allowed_extensions: str = ""
    default_critical_options: Mapping[str, str] = {}
    default_extensions: Mapping[str, str] = {}
    user_certificates: bool = False
    host_certificates: bool = False
    bare_domains: bool = False
    subdomains: bool = False
    user_key_ids: bool = False
    empty_principals: bool = False
    key_id_format: str = ""
    key_lengths: Mapping[str, tuple[int, ...]] = {}
    algorithm: str = "default"
    issuer: str = "default"
    ttl: Seconds = Seconds(0)
    max_ttl: Seconds = Seconds(0)
    not_before: Seconds = Seconds(30)


ROLE: Final = RecordKind("ssh role", Role)


def known_roles() -> KnownRecords[Role]:
    """Return what remembers the roles that are used."""
    return KnownRecords(ROLE.decode, _KNOWN)


async def find_role(view: ReadView, name: str) -> Role | None:
    """Return the role with a name."""
    stored = await view.get(ROLES + name)
    return ROLE.decode(stored) if stored is not None else None


def role_of(params: RoleParams) -> Role:
    """Return the role that is written. Raises `Malformed`."""
    check_length(
        default_user=params.default_user,
        key_id_format=params.key_id_format,
        issuer_ref=params.issuer_ref,
    )
    if not params.key_type:
        raise Malformed("missing key type")
    match params.key_type.lower():
        case "otp":
            role = _password_role(params)
        case "ca":
            role = _certificate_role(params)
        case "dynamic":
            raise Malformed("dynamic key type roles are no longer supported")
        case _:
            raise Malformed("invalid key type")
    _check_limits(role)
    return role


def check_usable(role: Role) -> None:
    """Raise `Malformed` for a role of a time when there were fewer limits: each request would pay for what it lists."""
    try:
        _check_limits(role)
    except Malformed as refusal:
        raise Malformed(
            f"the role is larger than roles may be, and has to be written anew: {refusal.message}"
        ) from None


def is_usable(role: Role) -> bool:
    """Whether a role is within the limits, as all are that are written now."""
    try:
        _check_limits(role)
    except Malformed:
        return False
    return True


def _check_limits(role: Role) -> None:
    lists = {
        "allowed_users": role.allowed_users,
        "allowed_domains": role.allowed_domains,
        "allowed_critical_options": role.allowed_critical_options,
        "allowed_extensions": role.allowed_extensions,
        "cidr_list": role.cidr_list,
        "exclude_cidr_list": role.exclude_cidr_list,
    }
    for field, text in lists.items():
        check_size(field, len(text))
        if text.count(",") >= _NAMES:
            raise Malformed(f"field '{field}' may have at most {_NAMES} names")
    check_size("default_critical_options", size_of(role.default_critical_options))
    check_size("default_extensions", size_of(role.default_extensions))
    check_size("allowed_user_key_lengths", sum(map(len, role.key_lengths)))


def check_size(field: str, size: int) -> None:
    """Raise `Malformed` for a field of more characters than a list, or all options, may have."""
    if size > LONGEST:
        raise Malformed(f"field '{field}' may have at most {LONGEST} characters")


def size_of(options: Mapping[str, str]) -> int:
    """Return how many characters options have, names and values together."""
    return sum(len(name) + len(value) for name, value in options.items())


def _password_role(params: RoleParams) -> Role:
    if not params.default_user:
        raise Malformed("missing default user")
    check_networks("cidr_list", params.cidr_list)
    check_networks("exclude_cidr_list", params.exclude_cidr_list)
    return Role(
        kind=OTP,
        default_user=params.default_user,
        allowed_users=params.allowed_users,
        cidr_list=params.cidr_list,
        exclude_cidr_list=params.exclude_cidr_list,
        port=params.port or _USUAL_PORT,
    )


def _certificate_role(params: RoleParams) -> Role:
    if params.algorithm_signer not in ("", *_ALGORITHMS):
        raise Malformed(f"unknown algorithm signer; must be one of {', '.join(_ALGORITHMS)}")
    if not (params.allow_user_certificates or params.allow_host_certificates):
        raise Malformed("Either 'allow_user_certificates' or 'allow_host_certificates' must be set to 'true'")
    if params.ttl and params.max_ttl and params.ttl > params.max_ttl:
        raise Malformed('"ttl" value must be less than "max_ttl" when both are specified')
    return Role(
        kind=CA,
        default_user=params.default_user,
        allowed_users=params.allowed_users,
        allowed_domains=params.allowed_domains,
        allowed_users_template=params.allowed_users_template,
        allowed_domains_template=params.allowed_domains_template,
        default_user_template=params.default_user_template,
        default_extensions_template=params.default_extensions_template,
        commas_in_templates=params.allow_commas_in_identity_templates,
        wildcards_in_templates=params.allow_wildcards_in_identity_templates,
        allowed_critical_options=params.allowed_critical_options,
        allowed_extensions=params.allowed_extensions,
        default_critical_options=as_texts("default_critical_options", params.default_critical_options),
        default_extensions=as_texts("default_extensions", params.default_extensions),
        user_certificates=params.allow_user_certificates,
        host_certificates=params.allow_host_certificates,
        bare_domains=params.allow_bare_domains,
        subdomains=params.allow_subdomains,
        user_key_ids=params.allow_user_key_ids,
        empty_principals=params.allow_empty_principals,
        key_id_format=params.key_id_format,
        key_lengths=_key_lengths(params.allowed_user_key_lengths),
        algorithm=params.algorithm_signer or "default",
        issuer=params.issuer_ref or "default",
        ttl=params.ttl,
        max_ttl=params.max_ttl,
        not_before=params.not_before_duration,
    )


def as_texts(field: str, given: Mapping[str, Json] | None) -> Mapping[str, str]:
    """Return options with their values as text, in order of their names. Raises `Malformed` for too many."""
    if given is None:
        return {}
    if len(given) > _MOST:
        raise Malformed(f"field '{field}' may have at most {_MOST} entries")
    return {name: _as_text(given[name]) for name in sorted(given)}


def _as_text(value: Json) -> str:
    """Write a JSON value as OpenBao does, which is as Go prints it."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case None:
            return "<nil>"
        case list():
            return f"[{' '.join(_as_text(one) for one in value)}]"
        case dict():
            return f"map[{' '.join(f'{name}:{_as_text(value[name])}' for name in sorted(value))}]"
        case _:
            return str(value)


def _key_lengths(given: Mapping[str, Json] | None) -> Mapping[str, tuple[int, ...]]:
    """Return the sizes of keys by their types. Raises `Malformed`."""
    if given is None:
        return {}
    if len(given) > _MOST:
        raise Malformed(f"{_LENGTHS}at most {_MOST} types")
    found = {}
    for name, value in given.items():
        values: Sequence[Json] = value if isinstance(value, list) else [] if value is None else [value]
        if len(values) > _MOST:
            raise Malformed(f"{_LENGTHS}at most {_MOST} lengths for a type")
        found[name] = tuple(_key_length(one) for one in values)
    return found


def _key_length(value: Json) -> int:
    """Return a size in bits; 0 for none. Raises `Malformed`. Unlike in other fields a text is decimal, as in OpenBao."""
    if value == "":
        return 0
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if isinstance(value, int) and -_FURTHEST <= value < _FURTHEST:
        return int(value)
    raise Malformed(f"{_LENGTHS}each length must be a whole number of at most 63 bits")


def listed(text: str) -> list[str]:
    """Return what a text with commas lists, without blanks around and without what is empty."""
    return [one for part in text.split(",") if (one := part.strip())]
