# SPDX-License-Identifier: EUPL-1.2
"""What the routes of an SSH mount answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from vault.values.times import Seconds


class IssuerInfo(msgspec.Struct, frozen=True):
    """What is known of an issuer; its private key is not shown."""

    issuer_id: str
    issuer_name: str
    public_key: str


class ListedIssuer(msgspec.Struct, frozen=True):
    """An issuer in a list."""

    is_default: bool
    issuer_name: str
    public_key: str


class IssuerList(msgspec.Struct, frozen=True):
    """The ids of issuers, in order, and what is known of each."""

    keys: Sequence[str]
    key_info: Mapping[str, ListedIssuer]


class DefaultIssuer(msgspec.Struct, frozen=True):
    """The id of the default issuer."""

    default: str


class PasswordRole(msgspec.Struct, frozen=True, kw_only=True):
    """A role of one-time passwords."""

    allowed_users: str
    cidr_list: str
    default_user: str
    exclude_cidr_list: str
    key_type: str
    port: int


class CertificateRole(msgspec.Struct, frozen=True, kw_only=True):
    """A role of certificates."""

    algorithm_signer: str
    allow_bare_domains: bool
    allow_commas_in_identity_templates: bool
    allow_empty_principals: bool
    allow_host_certificates: bool
    allow_subdomains: bool
    allow_user_certificates: bool
    allow_user_key_ids: bool
    allow_wildcards_in_identity_templates: bool
    allowed_critical_options: str
    allowed_domains: str
    allowed_domains_template: bool
    allowed_extensions: str
    allowed_user_key_lengths: Mapping[str, Sequence[int] | None]
    allowed_users: str
    allowed_users_template: bool
    default_critical_options: Mapping[str, str]
    default_extensions: Mapping[str, str]
    default_extensions_template: bool
    default_user: str
    default_user_template: bool
    issuer_ref: str
    key_id_format: str
    key_type: str
    max_ttl: Seconds
    not_before_duration: Seconds
    ttl: Seconds


class ListedRole(msgspec.Struct, frozen=True):
    """A role in a list."""

    key_type: str
    issuer_ref: str | msgspec.UnsetType = msgspec.UNSET


class RoleList(msgspec.Struct, frozen=True):
    """The names of roles, in order, and what each is for."""

    keys: Sequence[str]
    key_info: Mapping[str, ListedRole]


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate, and who signed it. `serial_number` is in hexadecimal digits."""

    issuer_id: str
    serial_number: str
    signed_key: str


class IssuedPair(Certificate, frozen=True, kw_only=True):
    """A certificate with the private key that it is for: the only time that this is shown."""

    private_key: str
    private_key_type: str

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "IssuedPair(…)"


class OneTimePassword(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time password: the only time that it is shown."""

    ip: str
    key: str
    key_type: str
    port: int
    username: str

    def __repr__(self) -> str:
        """Show nothing of it."""
        return "OneTimePassword(…)"


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """Whom a one-time password lets in, and where."""

    ip: str
    role_name: str
    username: str


class Message(msgspec.Struct, frozen=True):
    """What is said to a client."""

    message: str


class RoleNames(msgspec.Struct, frozen=True):
    """Names of roles; none for none."""

    roles: Sequence[str] | None
