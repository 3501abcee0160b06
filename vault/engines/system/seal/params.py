# SPDX-License-Identifier: EUPL-1.2
"""Parameters and answers of `sys/init`, `sys/unseal`, `sys/seal-status` and `sys/health`."""

from __future__ import annotations

from typing import Annotated

import msgspec

from vault.framework.fields import Doc, FieldKind
from vault.framework.route import Params
from vault.values.times import Millis, Seconds

_Count = Annotated[int, FieldKind("int", struct="InitRequest")]
_Keys = Annotated[tuple[str, ...], FieldKind("strings", struct="InitRequest")]


class InitParams(Params, frozen=True):
    """The shares, and the PGP keys to encrypt them to."""

    secret_shares: Annotated[_Count, Doc("Number of shares to split the unseal key into.", clear=True)] = 0
    secret_threshold: Annotated[_Count, Doc("Number of shares that unseal.", clear=True)] = 0
    pgp_keys: Annotated[_Keys, Doc("PGP public keys, one per share, to encrypt the shares to.")] = ()
    root_token_pgp_key: Annotated[
        str, FieldKind("string", struct="InitRequest"), Doc("PGP public key to encrypt the root token to.")
    ] = ""
    recovery_shares: Annotated[
        _Count, Doc("Number of recovery shares, for a seal with key slots.", clear=True)
    ] = 0
    recovery_threshold: Annotated[_Count, Doc("Number of recovery shares that are needed.", clear=True)] = 0
    recovery_pgp_keys: Annotated[
        _Keys, Doc("PGP public keys, one per recovery share, to encrypt them to.")
    ] = ()
    replace_unconfirmed: Annotated[
        bool,
        FieldKind("bool", struct="InitRequest"),
        Doc(
            "Replace a vault that was initialised and never unsealed, when its keys did not arrive.",
            clear=True,
        ),
    ] = False


class UnsealParams(Params, frozen=True):
    """Parameters of an unseal step."""

    key: Annotated[
        str, FieldKind("string", struct="UnsealRequest"), Doc("One share, in hexadecimal or base64.")
    ] = ""
    reset: Annotated[
        bool, FieldKind("bool", struct="UnsealRequest"), Doc("Forget the shares given so far.", clear=True)
    ] = False
    migrate: Annotated[
        bool, FieldKind("bool", struct="UnsealRequest"), Doc("Take part in a seal migration.", clear=True)
    ] = False


class HealthParams(Params, frozen=True):
    """The HTTP status to answer in each state."""

    activecode: Annotated[str | None, Doc("Status while active.")] = None
    standbycode: Annotated[str | None, Doc("Status while standby.")] = None
    standbyok: Annotated[str | None, Doc("Answer a standby as if it were active.")] = None
    perfstandbycode: Annotated[str | None, Doc("Status while a performance standby.")] = None
    perfstandbyok: Annotated[str | None, Doc("Answer a performance standby as if it were active.")] = None
    drsecondarycode: Annotated[str | None, Doc("Status while a disaster recovery secondary.")] = None
    sealedcode: Annotated[str | None, Doc("Status while sealed.")] = None
    readonlycode: Annotated[str | None, Doc("Status while active on a storage that takes no writes.")] = None
    uninitcode: Annotated[str | None, Doc("Status while not initialised.")] = None


class InitStatus(msgspec.Struct, frozen=True):
    """Whether there is a vault."""

    initialized: bool


class InitResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The new vault's shares and first token: shown once."""

    keys: list[str]
    keys_base64: list[str]
    recovery_keys: list[str] = []
    recovery_keys_base64: list[str] = []
    root_token: str


class SlotStatus(msgspec.Struct, frozen=True):
    """The public part of a key slot."""

    name: str
    type: str
    up: bool
    key_version: str
    behind: int
    """By how many generations of the root key it lags behind."""
    software: bool
    """Whether it is a software token, which protects nothing against the host's administrator."""
    stored: bool
    """Whether it is part of the vault. A slot that is only configured opens nothing."""


class SealStatus(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The state of the seal, on the wire's names."""

    type: str
    initialized: bool
    sealed: bool
    t: int
    n: int
    progress: int
    nonce: str
    recovery_seal: bool
    recovery_seal_type: str = ""
    version: str
    commit_date: str
    migration: bool
    cluster_name: str = ""
    cluster_id: str = ""
    storage_type: str
    slots: list[SlotStatus] = []
    warnings: list[str] = []
    coffre_version: str


class Health(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The health of a node, for load balancers."""

    initialized: bool
    sealed: bool
    standby: bool
    replication_performance_mode: str
    replication_dr_mode: str
    server_time_utc: Seconds
    version: str
    cluster_name: str = ""
    cluster_id: str = ""
    coffre_version: str
    audit_blocked: bool = False
    """Whether no audit device took the last record: then requests are refused."""
    audit_failing: int = 0
    """How many audit devices did not take their last record."""
    log_blocked: bool = False
    """Whether a required device of the log does not have its newest records: then requests are refused."""
    log_failing: int = 0
    """How many devices that the log is sent to do not take records."""
    snapshots_failing: int = 0
    """How many schedules of backups have none of their last attempt."""
    storage_unreachable: bool = False
    """Whether storage does not answer, so that this is what it said last."""
    storage_read_only: bool = False
    """Whether storage answers and takes no writes."""
    clock_skew_ms: Millis = Millis(0)
    """By how much this node's clock is ahead of the database's, where that is worth telling."""
