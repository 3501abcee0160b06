# SPDX-License-Identifier: EUPL-1.2
"""What the routes of an SSH mount take."""

from __future__ import annotations

from typing import Annotated

from vault.framework.fields import CommaList, Doc, Map, Span
from vault.framework.route import Params
from vault.values.times import Seconds


class PageParams(Params, frozen=True):
    """Which part of a list."""

    after: Annotated[str, Doc("Begin after this name.")] = ""
    limit: Annotated[int, Doc("How many names to show at most; 0 or less for all.", clear=True)] = 0


class AuthorityParams(Params, frozen=True):
    """A pair of keys that signs certificates: one that is made here, or one that is brought."""

    private_key: Annotated[str, Doc("The private key, not encrypted, in PEM or in OpenSSH's form.")] = ""
    public_key: Annotated[str, Doc("The public key, as a line of an `authorized_keys` file.")] = ""
    generate_signing_key: Annotated[
        bool | None,
        Doc("Whether the pair is made here; not given, it is unless one is brought.", clear=True),
    ] = None
    key_type: Annotated[
        str,
        Doc(
            "Kind of a pair that is made here: `ssh-rsa`, `rsa`, `ec`, `ecdsa-sha2-nistp256` (384, 521), `ed25519`.",
            clear=True,
        ),
    ] = "ssh-rsa"
    key_bits: Annotated[int, Doc("Its size, for `rsa` and `ec`; 0 for the usual one.", clear=True)] = 0


class CaParams(AuthorityParams, frozen=True):
    """As `AuthorityParams`; the pair becomes the default issuer."""

    issuer_name: Annotated[str, Doc("Taken for OpenBao's clients, and without effect there and here.")] = ""


class ImportParams(AuthorityParams, frozen=True):
    """As `AuthorityParams`, for an issuer beside others."""

    set_default: Annotated[bool, Doc("Whether it becomes the default issuer.", clear=True)] = False


class NamedImportParams(ImportParams, frozen=True, kw_only=True):
    """As `ImportParams`, with a name."""

    issuer_name: Annotated[str, Doc("Name of the issuer.", clear=True)]


class DefaultParams(Params, frozen=True):
    """Which issuer signs where a role names none."""

    default: Annotated[str, Doc("Name or id of the issuer.", clear=True)] = ""


class IssuerName(Params, frozen=True, kw_only=True):
    """Names an issuer."""

    issuer_ref: Annotated[str, Doc("Id or name of the issuer, or `default`.", clear=True)]


class RenameParams(IssuerName, frozen=True):
    """Another name for an issuer."""

    issuer_name: Annotated[str, Doc("Its name from now on; empty for none.", clear=True)] = ""


class RoleName(Params, frozen=True, kw_only=True):
    """Names a role."""

    role: Annotated[str, Doc("Name of the role.", clear=True)]


class RoleParams(RoleName, frozen=True):
    """A role, as a whole: what is not given has its usual value."""

    key_type: Annotated[str, Doc("`ca` for certificates, `otp` for one-time passwords.", clear=True)] = ""
    default_user: Annotated[str, Doc("User where none is asked for; of `ca`, users with commas between.")] = (
        ""
    )
    allowed_users: Annotated[str, Doc("Users that may be asked for, with commas between; `*` for all.")] = ""
    cidr_list: Annotated[str, Doc("Of `otp`: networks of the machines, with commas between.")] = ""
    exclude_cidr_list: Annotated[str, Doc("Of `otp`: networks in those that are not meant.")] = ""
    port: Annotated[int, Doc("Of `otp`: the port of sshd; 0 for 22.", clear=True)] = 0
    allowed_users_template: Annotated[
        bool, Doc("Whether `allowed_users` has identity templates.", clear=True)
    ] = False
    default_user_template: Annotated[
        bool, Doc("Whether `default_user` has identity templates.", clear=True)
    ] = False
    allowed_domains: Annotated[
        str, Doc("Domains of host certificates, with commas between; `*` for all.")
    ] = ""
    allowed_domains_template: Annotated[
        bool, Doc("Whether `allowed_domains` has identity templates.", clear=True)
    ] = False
    ttl: Annotated[Span, Doc("How long a certificate is good; 0 for the mount's.", clear=True)] = Seconds(0)
    max_ttl: Annotated[
        Span, Doc("How long a certificate may be good at most; 0 for the mount's.", clear=True)
    ] = Seconds(0)
    allowed_critical_options: Annotated[
        str, Doc("Critical options that may be asked for, with commas between; empty for all.")
    ] = ""
    allowed_extensions: Annotated[
        str, Doc("Extensions that may be asked for, with commas between; empty for none, `*` for all.")
    ] = ""
    default_critical_options: Annotated[Map | None, Doc("Critical options where none are asked for.")] = None
    default_extensions: Annotated[Map | None, Doc("Extensions where none are asked for.")] = None
    default_extensions_template: Annotated[
        bool, Doc("Whether values of `default_extensions` have identity templates.", clear=True)
    ] = False
    allow_user_certificates: Annotated[bool, Doc("Whether there are certificates for users.", clear=True)] = (
        False
    )
    allow_host_certificates: Annotated[bool, Doc("Whether there are certificates for hosts.", clear=True)] = (
        False
    )
    allow_bare_domains: Annotated[
        bool, Doc("Whether a host may be called like an allowed domain.", clear=True)
    ] = False
    allow_subdomains: Annotated[bool, Doc("Whether a host may be in an allowed domain.", clear=True)] = False
    allow_user_key_ids: Annotated[bool, Doc("Whether a key id may be asked for.", clear=True)] = False
    allow_empty_principals: Annotated[
        bool, Doc("Whether a certificate may be for nobody named, so for everybody.", clear=True)
    ] = False
    allow_commas_in_identity_templates: Annotated[
        bool, Doc("Whether what a template stands for may have commas.", clear=True)
    ] = False
    allow_wildcards_in_identity_templates: Annotated[
        bool, Doc("Whether what a template stands for may have `*`.", clear=True)
    ] = False
    key_id_format: Annotated[
        str, Doc("Key id, with `{{token_display_name}}`, `{{role_name}}` and `{{public_key_hash}}`.")
    ] = ""
    allowed_user_key_lengths: Annotated[
        Map | None, Doc("Sizes of keys that are signed, by their types; empty for all.")
    ] = None
    algorithm_signer: Annotated[
        str,
        Doc("How an RSA key signs: `default`, `ssh-rsa`, `rsa-sha2-256`, `rsa-sha2-512`.", clear=True),
    ] = ""
    issuer_ref: Annotated[str, Doc("Which issuer signs: an id, a name, or `default`.", clear=True)] = ""
    not_before_duration: Annotated[
        Span, Doc("How long before its making a certificate begins.", clear=True)
    ] = Seconds(30)


class CertificateParams(RoleName, frozen=True):
    """What a certificate is to say."""

    ttl: Annotated[Span, Doc("How long it is good; 0 for the role's.", clear=True)] = Seconds(0)
    valid_principals: Annotated[str, Doc("Users or hosts that it is for, with commas between.")] = ""
    cert_type: Annotated[str, Doc("`user` or `host`.", clear=True)] = "user"
    key_id: Annotated[str, Doc("Its key id, where the role allows one to be asked for.")] = ""
    critical_options: Annotated[Map | None, Doc("Its critical options, instead of the role's.")] = None
    extensions: Annotated[Map | None, Doc("Its extensions, instead of the role's.")] = None


class SignParams(CertificateParams, frozen=True):
    """A key, and what its certificate is to say."""

    public_key: Annotated[str, Doc("The public key, as a line of an `authorized_keys` file.")] = ""


class IssueParams(CertificateParams, frozen=True):
    """A pair that is made here, and what its certificate is to say."""

    key_type: Annotated[str, Doc("Kind of the pair: `rsa`, `ec` or `ed25519`.", clear=True)] = "rsa"
    key_bits: Annotated[int, Doc("Its size; 0 for the usual one.", clear=True)] = 0


class PasswordParams(RoleName, frozen=True):
    """Which machine a one-time password is for, and which user."""

    ip: Annotated[str, Doc("Address of the machine.")] = ""
    username: Annotated[str, Doc("User on the machine; empty for the role's.")] = ""


class VerifyParams(Params, frozen=True):
    """A one-time password that somebody shows."""

    otp: Annotated[str, Doc("The one-time password.")] = ""


class LookupParams(Params, frozen=True):
    """A machine."""

    ip: Annotated[str, Doc("Address of the machine.")] = ""


class ZeroAddressParams(Params, frozen=True):
    """Roles for all machines."""

    roles: Annotated[CommaList, Doc("Names of the roles.", clear=True)] = ()
