# SPDX-License-Identifier: EUPL-1.2
"""What the JWT method keeps and takes. Tokens of identity providers are never kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from nhi.records import Record, Records
from vault.barrier.stored import RecordKind
from vault.framework.fields import BareMap, CommaList, Doc, FieldKind, Json, LowerCase, Map
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

OLD_NAMES: Final = {**terms.OLD_NAMES, "period": "period", "num_uses": "num_uses"}
"""Older names of fields of the terms."""

PROVIDERS: Final = frozenset({"azure", "ibmisam", "secureauth"})
"""Providers with ways of their own."""

BarePairs = Annotated[Mapping[str, str], FieldKind("pairs", bare=True)]
BareDuration = Annotated[Seconds, FieldKind("duration", bare=True)]


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a mount's tokens come from, and how its OpenID provider is asked."""

    jwt_validation_pubkeys: tuple[str, ...] = ()
    jwks_url: str = ""
    jwks_ca_pem: str = ""
    oidc_discovery_url: str = ""
    oidc_discovery_ca_pem: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_response_mode: str = ""
    oidc_response_types: tuple[str, ...] = ()
    jwt_supported_algs: tuple[str, ...] = ()
    bound_issuer: str = ""
    default_role: str = ""
    namespace_in_state: bool = True
    override_allowed_server_names: tuple[str, ...] = ()
    provider_config: Mapping[str, Json] = {}

    @property
    def provider(self) -> str:
        """Whose way of telling groups the tokens have: one of `PROVIDERS`, or empty."""
        return str(self.provider_config.get("provider", ""))

    def __repr__(self) -> str:
        """Show nothing: there is a client secret in it."""
        return "Config(…)"


class Role(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who may log in, and what they get. Leeways in seconds: 0 for the usual one, below 0 for none."""

    name: str
    terms: TokenTerms = TokenTerms()
    role_type: str = "oidc"
    user_claim: str = ""
    user_claim_json_pointer: bool = False
    bound_audiences: tuple[str, ...] | None = None
    bound_subject: str = ""
    bound_claims: Mapping[str, Json] | None = None
    bound_claims_type: str = "string"
    claim_mappings: Mapping[str, str] | None = None
    groups_claim: str = ""
    clock_skew_leeway: Seconds = Seconds(0)
    expiration_leeway: Seconds = Seconds(0)
    not_before_leeway: Seconds = Seconds(0)
    max_age: Seconds = Seconds(0)
    allowed_redirect_uris: tuple[str, ...] | None = None
    oidc_scopes: tuple[str, ...] | None = None
    callback_mode: str = "client"
    poll_interval: Seconds = Seconds(0)
    oidc_disable_confirmation: bool = False
    oauth2_metadata: tuple[str, ...] | None = None
    verbose_oidc_logging: bool = False
    token_policies_template_claims: bool = False


class ConfigParams(Params, frozen=True, kw_only=True):
    """Where tokens come from; what is not given is empty from now on."""

    bound_issuer: Annotated[str, Doc("What the iss claim must be.")] = ""
    default_role: Annotated[LowerCase, Doc("Role of logins that name none.", clear=True)] = ""
    jwks_ca_pem: Annotated[str, Doc("CA certificates (PEM) for jwks_url; the machine's otherwise.")] = ""
    jwks_url: Annotated[str, Doc("Address of a JSON Web Key Set.")] = ""
    jwt_supported_algs: Annotated[
        CommaList, Doc("Signature algorithms that are accepted; all asymmetric.", clear=True)
    ] = ()
    jwt_validation_pubkeys: Annotated[CommaList, Doc("Public keys (PEM) that sign the tokens.")] = ()
    namespace_in_state: Annotated[
        bool | None, Doc("Whether the OpenID state names the namespace; true.", clear=True)
    ] = None
    oidc_client_id: Annotated[str, Doc("Client id at the OpenID provider.")] = ""
    oidc_client_secret: Annotated[str, Doc("Client secret at the OpenID provider; never shown.")] = ""
    oidc_discovery_ca_pem: Annotated[str, Doc("CA certificates (PEM) for oidc_discovery_url.")] = ""
    oidc_discovery_url: Annotated[
        str, Doc("Issuer of an OpenID provider, without .well-known/openid-configuration.")
    ] = ""
    oidc_response_mode: Annotated[str, Doc("query or form_post.", clear=True)] = ""
    oidc_response_types: Annotated[CommaList, Doc("code or id_token.", clear=True)] = ()
    override_allowed_server_names: Annotated[
        CommaList, Doc("Names that the provider's TLS certificate may be for, instead of the host's.")
    ] = ()
    provider_config: Annotated[
        Map | None, Doc("Whose tokens they are: `provider` is azure, ibmisam or secureauth.")
    ] = None
    skip_jwks_validation: Annotated[
        bool, Doc("Keep the configuration although the keys cannot be had.", clear=True)
    ] = False


class RoleParams(OldTermsParams, frozen=True, kw_only=True):
    """A role; what is not given stays."""

    name: Annotated[LowerCase, Doc("Name of the role.")]
    role_type: Annotated[BareText | None, Doc("oidc, the default, or jwt.", clear=True)] = None
    user_claim: Annotated[BareText | None, Doc("Claim that names the user.", clear=True)] = None
    user_claim_json_pointer: Annotated[
        BareBool | None, Doc("Whether user_claim may be a JSON pointer.", clear=True)
    ] = None
    bound_audiences: Annotated[BareCommas | None, Doc("Audiences, one of which the token must be for.")] = (
        None
    )
    bound_subject: Annotated[BareText | None, Doc("What the sub claim must be.")] = None
    bound_claims: Annotated[BareMap | None, Doc("Claims and their value, or list of values.")] = None
    bound_claims_type: Annotated[BareText | None, Doc("string or glob.", clear=True)] = None
    claim_mappings: Annotated[BarePairs | None, Doc("Claims that become metadata, and under which name.")] = (
        None
    )
    groups_claim: Annotated[BareText | None, Doc("Claim that lists the user's groups.", clear=True)] = None
    clock_skew_leeway: Annotated[BareDuration | None, Doc("Leeway for every time; 60 s.", clear=True)] = None
    expiration_leeway: Annotated[
        BareDuration | None, Doc("Life of a token without exp; 150 s.", clear=True)
    ] = None
    not_before_leeway: Annotated[
        BareDuration | None, Doc("How long before exp a token begins; 150 s.", clear=True)
    ] = None
    max_age: Annotated[
        BareSpan | None, Doc("Seconds since the user last signed in at the provider.", clear=True)
    ] = None
    allowed_redirect_uris: Annotated[BareCommas | None, Doc("Where the provider may send the browser.")] = (
        None
    )
    oidc_scopes: Annotated[BareCommas | None, Doc("Scopes to ask for beside openid.", clear=True)] = None
    callback_mode: Annotated[BareText | None, Doc("client, direct or device.", clear=True)] = None
    poll_interval: Annotated[BareInt | None, Doc("Seconds between polls.", clear=True)] = None
    oidc_disable_confirmation: Annotated[
        BareBool | None, Doc("Sign in without asking the user.", clear=True)
    ] = None
    oauth2_metadata: Annotated[
        BareCommas | None, Doc("Tokens of the provider to put into metadata.", clear=True)
    ] = None
    verbose_oidc_logging: Annotated[
        BareBool | None, Doc("Kept for clients; nothing more is logged.", clear=True)
    ] = None
    token_policies_template_claims: Annotated[
        BareBool | None, Doc("Whether {{.claim}} in policies is replaced by the claim.", clear=True)
    ] = None
    num_uses: Annotated[BareInt | None, Doc("Old name of token_num_uses.", clear=True, deprecation=OLD)] = (
        None
    )
    period: Annotated[BareSpan | None, Doc("Old name of token_period.", clear=True, deprecation=OLD)] = None


class LoginParams(Params, frozen=True):
    """Who logs in."""

    jwt: Annotated[str, Doc("The token.")] = ""
    role: Annotated[LowerCase, Doc("The role; the mount's default otherwise.", clear=True)] = ""


class AuthUrlParams(Params, frozen=True):
    """A sign-in to begin."""

    role: Annotated[LowerCase, Doc("The role; the mount's default otherwise.", clear=True)] = ""
    redirect_uri: Annotated[str, Doc("Where the provider is to send the browser.")] = ""
    client_nonce: Annotated[str, Doc("A random text that only this client knows.")] = ""


class CallbackParams(Params, frozen=True):
    """What the provider sent."""

    state: Annotated[str, Doc("Names the sign-in.")] = ""
    code: Annotated[str, Doc("The provider's authorization code.")] = ""
    client_nonce: Annotated[str, Doc("The text that the sign-in was begun with.")] = ""
    confirmation: Annotated[str, Doc("Shows that the user has confirmed.")] = ""
    error: Annotated[str, Doc("Why the provider refused; not repeated.")] = ""
    error_description: Annotated[str, Doc("Not looked at.")] = ""
    error_uri: Annotated[str, Doc("Not looked at.")] = ""


class FormParams(Params, frozen=True):
    """What the provider sent in a form."""

    state: Annotated[str, Doc("Names the sign-in.")] = ""
    code: Annotated[str, Doc("The provider's authorization code.")] = ""
    id_token: Annotated[str, Doc("The ID token of a sign-in without a code.")] = ""
    client_nonce: Annotated[str, Doc("Not looked at.")] = ""
    error: Annotated[str, Doc("Not looked at.")] = ""
    error_description: Annotated[str, Doc("Not looked at.")] = ""
    error_uri: Annotated[str, Doc("Not looked at.")] = ""


class PollParams(Params, frozen=True):
    """A sign-in that is waited for."""

    state: Annotated[str, Doc("Names the sign-in.")] = ""
    client_nonce: Annotated[str, Doc("The text that the sign-in was begun with.")] = ""


CONFIG: Final = Record("config", RecordKind("JWT configuration", Config))
ROLES: Final = Records("role/", RecordKind("JWT role", Role))
