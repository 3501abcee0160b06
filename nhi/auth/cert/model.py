# SPDX-License-Identifier: EUPL-1.2
"""What the certificate method keeps and takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from nhi.records import Record, Records
from vault.barrier.stored import RecordKind
from vault.framework.fields import Doc, LowerCase
from vault.framework.route import Params
from vault.token import terms
from vault.token.terms import (
    BareBool,
    BareCommas,
    BareInt,
    BareSpan,
    BareText,
    OldTermsParams,
    TokenTerms,
)
from vault.values.deprecation import OLD
from vault.values.times import Seconds

OLD_NAMES: Final = {**terms.OLD_NAMES, "period": "period"}
"""Older names of fields of the terms."""


class Role(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which certificates may log in, and what they get. Lists that are None or empty ask for nothing."""

    name: str
    certificate: str = ""
    terms: TokenTerms = TokenTerms()
    display_name: str = ""
    allowed_names: tuple[str, ...] | None = None
    allowed_common_names: tuple[str, ...] | None = None
    allowed_dns_sans: tuple[str, ...] | None = None
    allowed_email_sans: tuple[str, ...] | None = None
    allowed_uri_sans: tuple[str, ...] | None = None
    allowed_organizational_units: tuple[str, ...] | None = None
    allowed_metadata_extensions: tuple[str, ...] | None = None
    required_extensions: tuple[str, ...] | None = None
    ocsp_enabled: bool = False
    ocsp_ca_certificates: str = ""
    ocsp_servers_override: tuple[str, ...] | None = None
    ocsp_fail_open: bool = False
    ocsp_query_all_servers: bool = False


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of the mount. The size of a cache is kept for clients; nothing is cached."""

    disable_binding: bool = False
    enable_identity_alias_metadata: bool = False
    ocsp_cache_size: int = 0


class RevocationList(msgspec.Struct, frozen=True, kw_only=True):
    """A revocation list: the serial numbers on it, in decimal. `url` is where it came from; times in seconds.

    `issuer` is the name (DER) of the authority that it is of, `number` its own (-1 for none), and `scope` what
    certificates it is about: the issuing distribution point (DER), empty for all, None where it was not looked at. A long
    list has its serial numbers in records of their own, under `generation`; `parts` are the first of each.
    """

    serials: tuple[str, ...]
    url: str = ""
    next_update: Seconds = Seconds(0)
    issuer: bytes = b""
    number: int = -1
    this_update: Seconds = Seconds(0)
    scope: bytes | None = None
    parts: tuple[str, ...] = ()
    generation: str = ""


class ConfigParams(Params, frozen=True, kw_only=True):
    """Settings of the mount; what is not given stays."""

    disable_binding: Annotated[
        bool | None, Doc("Renew without the certificate of the login.", clear=True)
    ] = None
    enable_identity_alias_metadata: Annotated[
        bool | None, Doc("Keep the certificate's metadata with the alias.", clear=True)
    ] = None
    ocsp_cache_size: Annotated[int | None, Doc("Kept for clients; nothing is cached.", clear=True)] = None


class RoleParams(OldTermsParams, frozen=True, kw_only=True):
    """A role; what is not given stays."""

    name: Annotated[LowerCase, Doc("Name of the role.")]
    certificate: Annotated[BareText | None, Doc("Authorities, or one certificate that is pinned (PEM).")] = (
        None
    )
    display_name: Annotated[BareText | None, Doc("Name of the tokens; the role's otherwise.")] = None
    allowed_names: Annotated[BareCommas | None, Doc("Globs for common name, DNS name or e-mail.")] = None
    allowed_common_names: Annotated[BareCommas | None, Doc("Globs for the common name.")] = None
    allowed_dns_sans: Annotated[BareCommas | None, Doc("Globs for DNS names.")] = None
    allowed_email_sans: Annotated[BareCommas | None, Doc("Globs for e-mail addresses.")] = None
    allowed_uri_sans: Annotated[BareCommas | None, Doc("Globs for URIs.")] = None
    allowed_organizational_units: Annotated[BareCommas | None, Doc("Globs for organizational units.")] = None
    allowed_metadata_extensions: Annotated[BareCommas | None, Doc("Extensions that become metadata.")] = None
    required_extensions: Annotated[BareCommas | None, Doc("oid:glob; all must be met.")] = None
    ocsp_enabled: Annotated[BareBool | None, Doc("Ask OCSP at each login.", clear=True)] = None
    ocsp_ca_certificates: Annotated[BareText | None, Doc("CA certificates (PEM) of OCSP servers.")] = None
    ocsp_servers_override: Annotated[BareCommas | None, Doc("OCSP servers instead of the certificate's.")] = (
        None
    )
    ocsp_fail_open: Annotated[
        BareBool | None, Doc("Let in whom no OCSP server knows anything of.", clear=True)
    ] = None
    ocsp_query_all_servers: Annotated[BareBool | None, Doc("Every OCSP server must agree.", clear=True)] = (
        None
    )
    lease: Annotated[BareInt | None, Doc("Oldest name of token_ttl.", clear=True)] = None
    period: Annotated[BareSpan | None, Doc("Old name of token_period.", clear=True, deprecation=OLD)] = None


class CrlParams(Params, frozen=True, kw_only=True):
    """A revocation list."""

    name: Annotated[LowerCase, Doc("Name of the list.")]
    crl: Annotated[str, Doc("The list, PEM.")] = ""
    url: Annotated[str, Doc("Where it is to be fetched from.")] = ""


class LoginParams(Params, frozen=True):
    """Who logs in; the certificate comes from the connection."""

    name: Annotated[LowerCase, Doc("The role; any that fits otherwise.", clear=True)] = ""


class Serials(msgspec.Struct, frozen=True, omit_defaults=True):
    """The serial numbers on a revocation list. OpenBao leaves the field out where the list is empty."""

    serials: Mapping[str, Mapping[str, str]] = {}


CONFIG: Final = Record("config", RecordKind("certificate configuration", Config))
ROLES: Final = Records("cert/", RecordKind("certificate role", Role))
CRLS: Final = Records("crl/", RecordKind("certificate revocation list", RevocationList))
PARTS: Final = Records("crl-part/", RecordKind("part of a certificate revocation list", tuple[str, ...]))
