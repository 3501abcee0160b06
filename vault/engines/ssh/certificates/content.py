# SPDX-License-Identifier: EUPL-1.2
"""What a certificate says: what was asked for, as far as the role allows it. Pure, in the order in which OpenBao checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from vault.engines.ssh.certificates.templates import filled, forbidden_in, is_templated
from vault.engines.ssh.forms.params import CertificateParams, IssueParams
from vault.engines.ssh.keys.public_key import PublicKey
from vault.engines.ssh.roles.role import LONGEST, Role, as_texts, check_size, check_usable, listed, size_of
from vault.framework.errors import Malformed
from vault.framework.identity import IdentityFacts
from vault.framework.names import check_length
from vault.framework.quote import quoted_words
from vault.token.lifetime import LifetimeLimits
from vault.values.times import Seconds

USER: Final = "user"
HOST: Final = "host"
_NOBODY: Final = (
    "refusing to issue unsafe, globally-valid certificate with no principals specified; set valid_principals or "
    "default_user"
)
_MOST: Final = 256
"""Principals of a certificate: OpenSSH reads no more."""
_KEYS: Final = "public_key failed to meet the key requirements: "
_WITHOUT_ENTITY: Final = (
    "default_extension templating enabled with at least one extension requiring identity templating. However, this "
    "request lacked identity entity information, causing one or more extensions to be skipped from the generated "
    "certificate."
)


class Asker(msgspec.Struct, frozen=True):
    """Who asks for a certificate, with which role. `facts` are those of the entity; None without one."""

    role_name: str
    display_name: str
    facts: IdentityFacts | None


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate says, but for its key and its times. Names of options are in order."""

    host: bool
    principals: Sequence[str]
    ttl: Seconds
    critical_options: Mapping[str, str]
    extensions: Mapping[str, str]
    warnings: Sequence[str] = ()


def content_of(role: Role, params: CertificateParams, asker: Asker, limits: LifetimeLimits) -> Content:
    """Return what a certificate says. Raises `Malformed`. `limits` are the mount's."""
    check_usable(role)
    _check_key_id(role, params)
    host = _is_host(role, params)
    principals = _principals(role, params, asker.facts, host=host)
    ttl = _ttl(role, params.ttl, limits)
    critical = _critical_options(role, params)
    extensions, warnings = _extensions(role, params, asker.facts)
    return Content(
        host=host,
        principals=principals,
        ttl=ttl,
        critical_options=critical,
        extensions=extensions,
        warnings=warnings,
    )


def _check_key_id(role: Role, params: CertificateParams) -> None:
    if params.key_id and not role.user_key_ids:
        raise Malformed("setting key_id is not allowed by role")
    check_length(key_id=params.key_id)


def key_id_of(role: Role, wanted: str, asker: Asker, public: PublicKey) -> str:
    """Return the key id of a certificate: the one that was asked for, or what the role makes of who asks.

    Raises `Malformed` for one that is too long.
    """
    if wanted:
        return wanted
    made = role.key_id_format or "vault-{{token_display_name}}-{{public_key_hash}}"
    for name, value in (
        ("token_display_name", asker.display_name),
        ("role_name", asker.role_name),
        ("public_key_hash", public.digest),
    ):
        made = made.replace("{{" + name + "}}", value)
    if len(made) > LONGEST:
        raise Malformed("field 'key_id_format' of the role makes a key id that is too long")
    return made


def _is_host(role: Role, params: CertificateParams) -> bool:
    match params.cert_type:
        case "user" if role.user_certificates:
            return False
        case "host" if role.host_certificates:
            return True
        case "user" | "host":
            raise Malformed(f"cert_type '{params.cert_type}' is not allowed by role")
        case _:
            raise Malformed("cert_type must be either 'user' or 'host'")


def _principals(
    role: Role, params: CertificateParams, facts: IdentityFacts | None, *, host: bool
) -> Sequence[str]:
    forbidden = forbidden_in(role)
    wanted = params.valid_principals
    if not wanted and not host:
        wanted = role.default_user
        wanted = filled(wanted, facts, forbidden) if role.default_user_template else wanted
    check_size("valid_principals", len(wanted))
    allowed = role.allowed_domains if host else role.allowed_users
    templated = role.allowed_domains_template if host else role.allowed_users_template
    allowed = filled(allowed, facts, forbidden) if templated else allowed
    names = sorted(set(listed(wanted)))
    if len(names) > _MOST:
        raise Malformed(f"field 'valid_principals' may have at most {_MOST} names")
    if not names and not role.empty_principals:
        raise Malformed(_NOBODY)
    if names and allowed != "*":
        _check_principals(role, names, listed(allowed), host=host)
    return names


def _check_principals(role: Role, names: Sequence[str], allowed: Sequence[str], *, host: bool) -> None:
    if not allowed:
        raise Malformed("role is not configured to allow any principals")
    known = frozenset(allowed)
    lengths = frozenset(map(len, known)) if host and role.subdomains else frozenset()
    for name in names:
        listed_itself = name in known and (not host or role.bare_domains)
        if not (listed_itself or (lengths and _is_below(name, known, lengths))):
            raise Malformed("a principal is not a valid value for valid_principals")


def _is_below(name: str, domains: frozenset[str], lengths: frozenset[int]) -> bool:
    """Whether a name is one in a domain, for instance `a.b.c` in `b.c` or `c`. `lengths` are those of the domains.

    They bound the work, as of each length one ending is looked for: of a name of dots all would be.
    """
    at = name.find(".")
    while at >= 0:
        if len(name) - at - 1 in lengths and name[at + 1 :] in domains:
            return True
        at = name.find(".", at + 1)
    return False


def _ttl(role: Role, wanted: Seconds, limits: LifetimeLimits) -> Seconds:
    longest = role.max_ttl or limits.longest
    if wanted > longest:
        raise Malformed(f"ttl is larger than maximum allowed {longest}")
    return wanted or min(role.ttl or limits.default, longest)


def _critical_options(role: Role, params: CertificateParams) -> Mapping[str, str]:
    if not params.critical_options:
        return role.default_critical_options
    wanted = as_texts("critical_options", params.critical_options)
    foreign = set(wanted).difference(role.allowed_critical_options.split(","))
    if role.allowed_critical_options and foreign:
        raise Malformed(f"critical options not on allowed list: [{quoted_words(foreign)}]")
    check_size("critical_options", size_of(wanted))
    return wanted


def _extensions(
    role: Role, params: CertificateParams, facts: IdentityFacts | None
) -> tuple[Mapping[str, str], Sequence[str]]:
    """Return the extensions, and what to warn of."""
    if params.extensions:
        wanted = as_texts("extensions", params.extensions)
        foreign = set(wanted).difference(role.allowed_extensions.split(","))
        if role.allowed_extensions != "*" and foreign:
            raise Malformed(f"extensions [{quoted_words(foreign)}] are not on allowed list")
        check_size("extensions", size_of(wanted))
        return wanted, ()
    if not role.default_extensions_template:
        return role.default_extensions, ()
    made: dict[str, str] = {}
    size = 0
    for name, value in role.default_extensions.items():
        if facts is not None or not is_templated(value):
            made[name] = filled(value, facts, "")
            size += len(name) + len(made[name])
        check_size("default_extensions", size)
    warnings = () if len(made) == len(role.default_extensions) else (_WITHOUT_ENTITY,)
    return made, warnings


_CURVE: Final = "ecdsa-sha2-nistp"


def _role_names(family: str, bits: int) -> Sequence[str]:
    """Return the names that roles have for keys of a family and size."""
    match family:
        case "rsa":
            return ("rsa", "ssh-rsa")
        case "ecdsa":
            return ("ecdsa", "ec", f"{_CURVE}{bits}")
        case _:
            return ("ed25519", "ssh-ed25519")


def check_key(role: Role, public: PublicKey) -> None:
    """Make sure that a role signs a key of this type and size. Raises `Malformed`."""
    names = [name for name in _role_names(public.family, public.bits) if name in role.key_lengths]
    if not role.key_lengths:
        return
    if not names:
        raise Malformed(f"{_KEYS}key of type {public.family} is not allowed")
    sized_by_name = public.family == "ed25519" or any(name.startswith(_CURVE) for name in names)
    if not sized_by_name and all(public.bits not in role.key_lengths[name] for name in names):
        raise Malformed(f"{_KEYS}key is of an invalid size: {public.bits}")


def check_new_pair(role: Role, params: IssueParams) -> None:
    """Make sure that a role has pairs made of this kind and size, spelled as they are asked for. Raises `Malformed`."""
    if not role.key_lengths:
        return
    names = _role_names(params.key_type, params.key_bits) if params.key_type in _FAMILIES else ()
    known = [role.key_lengths[name] for name in names if name in role.key_lengths]
    if not known:
        raise Malformed("provided key_type value not in allowed_user_key_types")
    if all(params.key_bits not in sizes for sizes in known):
        raise Malformed("provided key_bits value not in list of role's allowed_user_key_types")


_FAMILIES: Final = ("rsa", "ecdsa", "ed25519")
