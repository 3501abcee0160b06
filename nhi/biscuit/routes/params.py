# SPDX-License-Identifier: EUPL-1.2
"""Parameters and answers of an `nhi` mount."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from vault.framework.fields import CommaList, Doc, Json, Map, Span, StringList
from vault.framework.route import Params
from vault.values.ids import TokenId
from vault.values.times import Seconds


class Names(msgspec.Struct, frozen=True):
    """The answer of a list: names, in order."""

    keys: Sequence[str]


class KeyParams(Params, frozen=True):
    """A new issuer key."""

    algorithm: Annotated[str, Doc("ed25519 or p256; of a key in a device, whatever it is.", clear=True)] = (
        "ed25519"
    )
    external: Annotated[
        str, Doc("`<config>:<key>` of an external key that this mount may use.", clear=True)
    ] = ""
    staged: Annotated[
        bool, Doc("Only publish it for now; activate it once verifiers know it.", clear=True)
    ] = False


class KeyPath(Params, frozen=True):
    """Which issuer key."""

    kid: Annotated[str, Doc("Number of the key.")]


class KeyChange(KeyPath, frozen=True):
    """What becomes of an issuer key."""

    state: Annotated[str, Doc("active, retired or destroyed.", clear=True)] = ""


class KeyInfo(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer key, without what it signs with, which is `held` in the safe, or in a device as `<config>:<key>`.

    A key of a vault from before there was a safe is `held` behind the barrier until it is put into the safe.
    """

    kid: int
    algorithm: str
    state: str
    public_key: str
    held: str
    created_time: str


class WorkloadPath(Params, frozen=True):
    """Which workload."""

    name: Annotated[str, Doc("Name of the workload.")]


class WorkloadParams(WorkloadPath, frozen=True):
    """A workload. Owner and lifetime are mandatory: an identity without an owner must end."""

    owner: Annotated[str, Doc("Who answers for it: a team, or an address.")] = ""
    ttl: Annotated[Span, Doc("How long it may have tokens, from now.", clear=True)] = Seconds(0)
    description: Annotated[str, Doc("What it is.")] = ""


class WorkloadInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A workload as it is shown: who answers for it, and when it ends."""

    name: str
    owner: str
    description: str
    disabled: bool
    reason: str
    expire_time: str


class RegistrationPath(Params, frozen=True):
    """Which registration."""

    name: Annotated[str, Doc("Name of the registration; also its OAuth client id.")]


class RegistrationParams(RegistrationPath, frozen=True):
    """What a workload gets, and how it proves itself. Everything bound is compared as a whole."""

    workload: Annotated[
        str, Doc("Name of the workload; that of a new registration if not given.", clear=True)
    ] = ""
    policies: Annotated[CommaList, Doc("Policies that its tokens name.", clear=True)] = ()
    audiences: Annotated[CommaList, Doc("Whom its tokens are for; `vault` for this server.")] = ("vault",)
    ttl: Annotated[Span, Doc("Lifetime of a token.", clear=True)] = Seconds(3600)
    max_ttl: Annotated[Span, Doc("Lifetime with all renewals.", clear=True)] = Seconds(86_400)
    max_depth: Annotated[int, Doc("Blocks that a token may have, the first one included.", clear=True)] = 8
    cidrs: Annotated[
        CommaList, Doc("Addresses and blocks that it logs in from; any if not given.", clear=True)
    ] = ()
    pop: Annotated[
        str, Doc("What its tokens are bound to: mtls or dpop; nothing if not given.", clear=True)
    ] = ""
    approvers: Annotated[
        CommaList,
        Doc("Approvers, one of whom must have approved a token before it is good for anything.", clear=True),
    ] = ()
    offline: Annotated[
        bool,
        Doc(
            "Whether its tokens say what their policies allow when they are issued, for other verifiers.",
            clear=True,
        ),
    ] = False
    method: Annotated[
        str,
        Doc(
            "client_secret, private_key_jwt, jwt, kubernetes, cert or approle; a secret counts beside it.",
            clear=True,
        ),
    ] = "client_secret"
    jwks_url: Annotated[str, Doc("Key set of the issuer of its JWTs, or of itself (private_key_jwt).")] = ""
    jwks_ca_pem: Annotated[str, Doc("CA certificates (PEM) for jwks_url; the machine's otherwise.")] = ""
    oidc_discovery_url: Annotated[str, Doc("OpenID issuer whose keys sign its JWTs.")] = ""
    oidc_discovery_ca_pem: Annotated[str, Doc("CA certificates (PEM) for oidc_discovery_url.")] = ""
    pubkeys: Annotated[StringList, Doc("Public keys (PEM) that sign its JWTs.")] = ()
    bound_issuer: Annotated[str, Doc("What iss must be.")] = ""
    bound_subject: Annotated[str, Doc("What sub must be.")] = ""
    bound_audiences: Annotated[CommaList, Doc("What aud must have one of.")] = ()
    bound_claims: Annotated[Map | None, Doc("Further claims, each its one value or a list of them.")] = None
    max_age: Annotated[Span, Doc("How old a JWT may be, from its iat.", clear=True)] = Seconds(3600)
    one_time: Annotated[bool, Doc("Whether each JWT is good for one token only.", clear=True)] = False
    kubernetes_host: Annotated[str, Doc("URL of the cluster's API server, which is asked.")] = ""
    kubernetes_ca_cert: Annotated[str, Doc("Its CA certificates (PEM).")] = ""
    token_reviewer_jwt: Annotated[
        str, Doc("Token to ask it with; never shown, and gone once another cluster is named.")
    ] = ""
    service_accounts: Annotated[CommaList, Doc("NAMESPACE/NAME of each service account.", clear=True)] = ()
    certificate: Annotated[str, Doc("The client's certificate, or its authority's (PEM).")] = ""
    bound_common_names: Annotated[CommaList, Doc("Common names, one of which it must have.")] = ()
    bound_dns_sans: Annotated[CommaList, Doc("DNS names, one of which it must have.")] = ()
    bound_uri_sans: Annotated[CommaList, Doc("URIs (SPIFFE ids), one of which it must have.")] = ()
    approle_mount: Annotated[str, Doc("AppRole mount whose login's token is shown.", clear=True)] = ""
    approle_role: Annotated[str, Doc("Role of that login.", clear=True)] = ""


class RegistrationInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A registration. `attestation` has what its proof must be, as it was given."""

    name: str
    workload: str
    policies: Sequence[str]
    audiences: Sequence[str]
    ttl: Seconds
    max_ttl: Seconds
    max_depth: int
    cidrs: Sequence[str]
    pop: str
    approvers: Sequence[str]
    offline: bool
    method: str
    attestation: Mapping[str, Json]
    has_secret: bool
    secret_origin: str
    secret_expire_time: str


class SecretParams(RegistrationPath, frozen=True):
    """A new client secret, or the hash of one that is in use already."""

    secret_hash: Annotated[
        str, Doc("Hash of a secret that is in use: sha256:HEX, bcrypt, or argon2id; none for a new secret.")
    ] = ""
    secret_ttl: Annotated[Span, Doc("For how long the secret counts; for ever if not given.", clear=True)] = (
        Seconds(0)
    )


class SecretInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """A new client secret, shown once; an imported one is not known here."""

    client_id: str
    client_secret: str = ""


class IssueParams(RegistrationPath, frozen=True):
    """A token of a registration. Where the registration wants a proof of possession, the key of the user is named."""

    x5t: Annotated[
        str, Doc("Thumbprint (base64url of SHA-256) of the certificate that the token is bound to.")
    ] = ""
    jkt: Annotated[str, Doc("Thumbprint (RFC 7638) of the key that signs the DPoP proofs of its user.")] = ""
    ttl: Annotated[Span, Doc("Wished lifetime; the registration's if not given.", clear=True)] = Seconds(0)


class LoginParams(Params, frozen=True):
    """A registration, and its proof: a secret, a JWT; nothing where that is a certificate or an AppRole's token."""

    client_id: Annotated[str, Doc("Name of the registration.", clear=True)] = ""
    client_secret: Annotated[str, Doc("Its secret.")] = ""
    jwt: Annotated[str, Doc("A token of its issuer or its cluster.")] = ""
    client_assertion: Annotated[str, Doc("A token that it has signed itself (RFC 7523).")] = ""
    ttl: Annotated[Span, Doc("Wished lifetime; the registration's if not given.", clear=True)] = Seconds(0)


class TokenParams(Params, frozen=True):
    """A token in the body."""

    token: Annotated[str, Doc("The Biscuit.")] = ""


class BlockInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One block of a token."""

    id: str
    parent: str
    index: int
    narrowing: Sequence[str]
    anomalies: Sequence[str]
    datalog: str
    external_key: str | None


class TokenInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token is; of one that was not issued by this mount, nothing else. `refusal` says why it is not good."""

    active: bool
    refusal: str = ""
    problem: str = ""
    token_id: TokenId = TokenId("")
    kid: int = 0
    workload: str = ""
    registration: str = ""
    method: str = ""
    policies: Sequence[str] = ()
    namespace: str = ""
    issue_time: str = ""
    expire_time: str = ""
    sealed: bool = False
    cost: int = 0
    blocks: Sequence[BlockInfo] = ()
