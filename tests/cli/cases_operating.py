# SPDX-License-Identifier: EUPL-1.2
"""Command lines for those who run a server, and the answers that they meet."""

from typing import Any, Final

from tests.cli.canned import Case

_SEAL: Final = "GET /v1/sys/seal-status"
_LEADER: Final = "GET /v1/sys/leader"
_OPEN: Final[dict[str, Any]] = {
    "type": "shamir",
    "initialized": True,
    "sealed": False,
    "t": 3,
    "n": 5,
    "progress": 0,
    "nonce": "",
    "version": "2.7.2",
    "commit_date": "2026-01-01T00:00:00Z",
    "build_date": "2026-01-01T00:00:00Z",
    "migration": False,
    "cluster_name": "house",
    "cluster_id": "b5a3a3a0-0000-4000-8000-000000000000",
    "recovery_seal": False,
    "storage_type": "raft",
}
_SHUT: Final = {**_OPEN, "sealed": True, "progress": 1, "nonce": "6d1e", "cluster_name": None}
_ALONE: Final[dict[str, Any]] = {"ha_enabled": False, "is_self": False}
_ACTIVE: Final = {
    "ha_enabled": True,
    "is_self": True,
    "active_time": "2026-11-24T23:19:28.123456Z",
    "leader_address": "https://a:8200",
    "leader_cluster_address": "https://a:8201",
    "raft_committed_index": 57,
    "raft_applied_index": 57,
}
_STANDBY: Final = {**_ACTIVE, "is_self": False, "active_time": "0001-01-01T00:00:00Z"}
_LOST: Final = {"ha_enabled": True, "is_self": False, "leader_address": "", "leader_cluster_address": ""}
_SEALED_REFUSAL: Final = (503, {"errors": ["Vault is sealed"]})


def _status(line: str, seal: object, leader: tuple[int, object]) -> Case:
    return Case(line, {_SEAL: (200, seal), _LEADER: leader})


_STATUS = [
    _status(line, seal, leader)
    for seal, leader in (
        (_OPEN, (200, _ACTIVE)),
        (_OPEN, (200, _STANDBY)),
        (_OPEN, (200, _LOST)),
        (_SHUT, _SEALED_REFUSAL),
        ({**_SHUT, "migration": True, "recovery_seal": True, "type": "pkcs11"}, (200, _ALONE)),
        (_OPEN, (500, {"errors": ["no leader known"]})),
    )
    for line in ("status", "status -format=json")
] + [
    _status("status -field=sealed", _SHUT, (200, _ALONE)),
    _status("status -field=nothing", _SHUT, (200, _ALONE)),
    Case("status", {_SEAL: (500, {"errors": ["internal error"]})}),
]

_KEYS = {
    "keys": ["aa", "bb"],
    "keys_base64": ["qg==", "uw=="],
    "root_token": "s.root",
}
_RECOVERY = {
    "keys": [],
    "keys_base64": [],
    "recovery_keys": ["aa", "bb"],
    "recovery_keys_base64": ["qg==", "uw=="],
    "root_token": "s.root",
}
_NEW = {**_SHUT, "initialized": False, "t": 0, "n": 0, "progress": 0, "nonce": ""}
_ASKED_TO_INIT = {_SEAL: (200, _NEW), "PUT /v1/sys/init": (200, _KEYS)}
_ASKED_WITH_SLOTS = {
    _SEAL: (200, {**_NEW, "recovery_seal": True, "type": "pkcs11"}),
    "PUT /v1/sys/init": (200, _RECOVERY),
}

_INIT = [
    Case("operator init -format=json", _ASKED_TO_INIT),
    Case("operator init -format=yaml -n=2 -t=2", _ASKED_TO_INIT),
    Case("operator init -format=json -recovery-shares=2 -recovery-threshold=2", _ASKED_WITH_SLOTS),
    Case("operator init -format=json -n=1 -t=1 -pgp-keys=binary.pgp", _ASKED_TO_INIT),
    *(
        Case(f"operator init -status{form}", {_SEAL: (200, seal), "GET /v1/sys/init": answer})
        for form in ("", " -format=json")
        for seal, answer in (
            (_NEW, (200, {"initialized": False})),
            (_OPEN, (200, {"initialized": True})),
            (_OPEN, (500, {"errors": ["internal error"]})),
        )
    ),
    Case("operator init -format=json", {_SEAL: (500, {"errors": ["internal error"]})}),
    Case("operator init -format=json", {_SEAL: (200, _NEW), "PUT /v1/sys/init": (400, {"errors": ["no"]})}),
]
_UNSEALING = {"PUT /v1/sys/unseal": (200, _SHUT), _LEADER: _SEALED_REFUSAL}
_OPERATOR = [
    *_INIT,
    Case("operator unseal -reset", _UNSEALING),
    Case("operator unseal -migrate share", _UNSEALING),
    Case("operator unseal -format=json share", _UNSEALING),
    Case("operator unseal share", {"PUT /v1/sys/unseal": (400, {"errors": ["invalid key"]})}),
    Case("operator unseal -reset", {"PUT /v1/sys/unseal": (500, {"errors": ["internal error"]})}),
    Case("operator seal", {"PUT /v1/sys/seal": (204, None)}),
    Case("operator seal", {"PUT /v1/sys/seal": (403, {"errors": ["permission denied"]})}),
    *(
        Case(
            f"operator key-status{form}",
            {
                "GET /v1/sys/key-status": (
                    200,
                    {"data": {"term": 2, "install_time": time, "encryptions": 7}},
                )
            },
        )
        for form in ("", " -format=json")
        for time in ("2026-11-24T23:19:28Z", "2026-11-24T23:19:28.123456789Z")
    ),
]

_LEASE = {
    "lease_id": "db/creds/x/1",
    "lease_duration": 3600,
    "renewable": True,
    "data": None,
}
_LOOKED_UP = {"data": {"id": "db/creds/x/1", "ttl": 3599, "renewable": True, "last_renewal": None}}
_LEASES = [
    Case("lease lookup"),
    Case("lease lookup db/creds/x/1", {"PUT /v1/sys/leases/lookup": (200, _LOOKED_UP)}),
    Case("lease lookup -format=json db/creds/x/1", {"PUT /v1/sys/leases/lookup": (200, _LOOKED_UP)}),
    Case("lease lookup x", {"PUT /v1/sys/leases/lookup": (400, {"errors": ["invalid lease"]})}),
    Case("lease renew"),
    Case("lease renew db/creds/x/1", {"PUT /v1/sys/leases/renew": (200, _LEASE)}),
    Case("lease renew -increment=90m db/creds/x/1", {"PUT /v1/sys/leases/renew": (200, _LEASE)}),
    Case("lease renew -format=json db/creds/x/1", {"PUT /v1/sys/leases/renew": (200, _LEASE)}),
    Case("lease renew x", {"PUT /v1/sys/leases/renew": (400, {"errors": ["lease not found"]})}),
    Case("lease revoke"),
    Case("lease revoke db/creds/x/1", {"PUT /v1/sys/leases/revoke/db/creds/x/1": (204, None)}),
    Case("lease revoke -sync db/creds/x/1", {"PUT /v1/sys/leases/revoke/db/creds/x/1": (204, None)}),
    Case("lease revoke -prefix db/creds", {"PUT /v1/sys/leases/revoke-prefix/db/creds": (204, None)}),
    Case("lease revoke -prefix -sync db/creds", {"PUT /v1/sys/leases/revoke-prefix/db/creds": (204, None)}),
    Case("lease revoke -prefix -force db/creds", {"PUT /v1/sys/leases/revoke-force/db/creds": (204, None)}),
    Case("lease revoke -force db/creds"),
    Case("lease revoke x", {"PUT /v1/sys/leases/revoke/x": (400, {"errors": ["invalid lease"]})}),
]

_DEVICES: Final[dict[str, Any]] = {
    "data": {
        "file/": {"type": "file", "description": "kept", "options": {"file_path": "/a"}, "path": "file/"},
        "b/": {"type": "file", "description": "", "options": {}, "local": True, "path": "b/"},
    }
}
_NO_DEVICES: Final[dict[str, Any]] = {"data": {}}
_AUDIT = [
    Case(f"audit list{form}", {"GET /v1/sys/audit": (200, devices)})
    for form in ("", " -detailed", " -format=json", " -format=yaml")
    for devices in (_DEVICES, _NO_DEVICES)
]

CASES = [*_STATUS, *_OPERATOR, *_LEASES, *_AUDIT]
