# SPDX-License-Identifier: EUPL-1.2
"""What the Kubernetes method keeps and takes. Tokens of service accounts that log in are never kept."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from nhi.records import Record, Records
from vault.barrier.stored import RecordKind
from vault.framework.fields import CommaList, Doc, LowerCase
from vault.framework.route import Params
from vault.token import terms
from vault.token.terms import BareCommas, BareInt, BareSpan, BareText, OldTermsParams, TokenTerms
from vault.values.deprecation import OLD

OLD_NAMES: Final = {**terms.OLD_NAMES, "period": "period", "num_uses": "num_uses"}
"""Older names of fields of the terms."""
UID: Final = "serviceaccount_uid"
NAME: Final = "serviceaccount_name"


class Config(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The cluster."""

    kubernetes_host: str
    kubernetes_ca_cert: str = ""
    token_reviewer_jwt: str = ""
    pem_keys: tuple[str, ...] = ()
    issuer: str = ""
    disable_iss_validation: bool = True
    disable_local_ca_jwt: bool = False

    def __repr__(self) -> str:
        """Name the cluster, without the token."""
        return f"Config({self.kubernetes_host!r})"


class Role(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which service accounts may log in, and what they get."""

    name: str
    terms: TokenTerms = TokenTerms()
    names: tuple[str, ...] = ()
    namespaces: tuple[str, ...] | None = None
    selector: str = ""
    audience: str = ""
    alias_name_source: str = UID


class ConfigParams(Params, frozen=True, kw_only=True):
    """The cluster; what is not given is empty from now on."""

    kubernetes_host: Annotated[str, Doc("URL of the API server.")] = ""
    kubernetes_ca_cert: Annotated[
        str, Doc("CA certificates (PEM) of the API server; the pod's own where it runs in one.")
    ] = ""
    token_reviewer_jwt: Annotated[
        str, Doc("Token that asks for reviews; the pod's own or the one that logs in otherwise.")
    ] = ""
    pem_keys: Annotated[
        CommaList, Doc("Public keys or certificates (PEM) that sign the tokens; checked before the review.")
    ] = ()
    issuer: Annotated[str, Doc("What the iss claim must be, unless disable_iss_validation.")] = ""
    disable_iss_validation: Annotated[
        bool, Doc("Whether the issuer is left to the API server.", clear=True)
    ] = True
    disable_local_ca_jwt: Annotated[bool, Doc("Do not use the pod's own CA and token.", clear=True)] = False


class RoleParams(OldTermsParams, frozen=True, kw_only=True):
    """A role; what is not given stays, but for the selector."""

    name: Annotated[LowerCase, Doc("Name of the role.")]
    bound_service_account_names: Annotated[
        BareCommas | None, Doc("Service accounts; globs; * for all.", clear=True)
    ] = None
    bound_service_account_namespaces: Annotated[
        BareCommas | None, Doc("Namespaces; globs; * for all.", clear=True)
    ] = None
    bound_service_account_namespace_selector: Annotated[
        BareText | None, Doc("Label selector for namespaces, as JSON.")
    ] = None
    audience: Annotated[BareText | None, Doc("Audience that the token must be for.")] = None
    alias_name_source: Annotated[
        BareText | None, Doc("serviceaccount_uid, the default, or serviceaccount_name.", clear=True)
    ] = None
    num_uses: Annotated[BareInt | None, Doc("Old name of token_num_uses.", clear=True, deprecation=OLD)] = (
        None
    )
    period: Annotated[BareSpan | None, Doc("Old name of token_period.", clear=True, deprecation=OLD)] = None


class LoginParams(Params, frozen=True):
    """Who logs in."""

    role: Annotated[LowerCase, Doc("The role.", clear=True)] = ""
    jwt: Annotated[str, Doc("The service account's token.")] = ""


CONFIG: Final = Record("config", RecordKind("Kubernetes configuration", Config))
ROLES: Final = Records("role/", RecordKind("Kubernetes role", Role))
