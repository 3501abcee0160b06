# SPDX-License-Identifier: EUPL-1.2
"""status, and the seal status that unsealing prints."""

from __future__ import annotations

from vaultctl.errors import EXIT_LOCAL, EXIT_OK, EXIT_REMOTE, ApiError, CommandError
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.go import go_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_ALWAYS = {
    "type": "",
    "initialized": False,
    "sealed": False,
    "t": 0,
    "n": 0,
    "progress": 0,
    "nonce": "",
    "version": "",
    "commit_date": None,
    "migration": False,
    "cluster_name": None,
    "cluster_id": None,
    "recovery_seal": False,
    "storage_type": None,
}
_WHEN_HA = (
    "is_self",
    "active_time",
    "leader_address",
    "leader_cluster_address",
    "performance_standby",
    "performance_standby_last_remote_wal",
    "last_wal",
    "raft_committed_index",
    "raft_applied_index",
)
_NOTHING = (None, False, 0, "", "0001-01-01T00:00:00Z")
"""What says of a leader that it is not known; the last is a time that never was."""


def status(invocation: Invocation) -> int:
    """Whether the server is sealed: exit code 0 unsealed, 2 sealed, 1 error."""
    try:
        client = invocation.client
    except CommandError as error:
        error.code = EXIT_LOCAL  # 2 says that the server is sealed
        raise
    with ErrorPrefix("Error checking seal status", EXIT_LOCAL):
        seal = client.send("GET", "sys/seal-status").json()
    code = EXIT_REMOTE if seal.get("sealed") else EXIT_OK
    if invocation.text("field"):
        value = _document(seal, _leader(invocation)).get(invocation.text("field"))
        if value is None:
            raise CommandError(f'Field "{invocation.text("field")}" not present in seal status', code)
        invocation.print_field(value, "seal status")
        return code
    print_seal_status(invocation, seal)
    return code


def print_seal_status(invocation: Invocation, seal: Mapping[str, object]) -> None:
    """The seal status with what is known of the leader."""
    from vaultctl.text.output import key_values

    leader = _leader(invocation)
    if invocation.tabular:
        invocation.say(key_values(_rows(seal, leader)))
    else:
        invocation.print_value(_document(seal, leader))


def _leader(invocation: Invocation) -> Mapping[str, object]:
    """What is known of the leader. A sealed node of a cluster refuses to say: then only that it is one."""
    with ErrorPrefix("Error checking leader status", EXIT_LOCAL):
        try:
            return invocation.client.send("GET", "sys/leader", preliminary=True, patient=False).json()
        except ApiError as error:
            if error.status == 503 and "Vault is sealed" in error.errors:
                return {"ha_enabled": True}
            raise


def _document(seal: Mapping[str, object], leader: Mapping[str, object]) -> dict[str, object]:
    document = {key: seal.get(key, default) for key, default in _ALWAYS.items()}
    document = {key: value for key, value in document.items() if value is not None}
    if seal.get("coffre_version"):
        document["coffre_version"] = seal["coffre_version"]
    document["build_date"] = seal.get("build_date") or ""
    document["ha_enabled"] = bool(leader.get("ha_enabled"))
    if document["ha_enabled"]:
        document |= {key: leader[key] for key in _WHEN_HA if leader.get(key) not in _NOTHING}
    return document


def _rows(seal: Mapping[str, object], leader: Mapping[str, object]) -> list[tuple[str, str]]:
    prefix = "Recovery " if seal.get("recovery_seal") else ""
    rows = [("Seal Type", go_text(seal.get("type")))]
    if prefix:
        rows.append(("Recovery Seal Type", str(seal.get("recovery_seal_type") or "")))
    rows += [
        ("Initialized", go_text(seal.get("initialized"))),
        ("Sealed", go_text(seal.get("sealed"))),
        (f"Total {prefix}Shares", go_text(seal.get("n"))),
        ("Threshold", go_text(seal.get("t"))),
    ]
    if seal.get("sealed"):
        rows += [
            ("Unseal Progress", f"{go_text(seal.get('progress'))}/{go_text(seal.get('t'))}"),
            ("Unseal Nonce", str(seal.get("nonce") or "")),
        ]
    if seal.get("migration"):
        rows.append(("Seal Migration in Progress", "true"))
    rows.append(("Version", str(seal.get("version") or "")))
    for title, key in (
        ("Coffre", "coffre_version"),
        ("Commit Date", "commit_date"),
        ("Storage Type", "storage_type"),
        ("Cluster Name", "cluster_name"),
        ("Cluster ID", "cluster_id"),
    ):
        if seal.get(key) and (key != "cluster_id" or seal.get("cluster_name")):
            rows.append((title, str(seal[key])))
    return rows + _leader_rows(leader, unsealed=not seal.get("sealed"))


def _leader_rows(leader: Mapping[str, object], *, unsealed: bool) -> list[tuple[str, str]]:
    enabled = bool(leader.get("ha_enabled"))
    rows = [("HA Enabled", go_text(enabled))]
    if enabled and unsealed:
        own = bool(leader.get("is_self"))
        rows.append(("HA Cluster", str(leader.get("leader_cluster_address") or "")))
        rows.append(("HA Mode", "active" if own else "standby"))
        if own and leader.get("active_time"):
            rows.append(("Active Since", str(leader["active_time"])))
        if not own and leader.get("leader_address"):
            rows.append(("Active Node Address", str(leader["leader_address"])))
    for title, key in (
        ("Raft Committed Index", "raft_committed_index"),
        ("Raft Applied Index", "raft_applied_index"),
    ):
        if leader.get(key):
            rows.append((title, go_text(leader[key])))
    return rows
