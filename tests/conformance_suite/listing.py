# SPDX-License-Identifier: EUPL-1.2
"""Everything that a server can list, to be compared before and after a run."""

import json
import time
from collections.abc import Iterator
from typing import Any

from tests.conformance.servers import Server
from tests.conformance.wire import send

_LISTS = (
    "sys/namespaces", "sys/policies/acl", "sys/policies/password", "sys/quotas/rate-limit", "auth/token/accessors",
    "auth/token/roles", "identity/entity/id", "identity/entity-alias/id", "identity/group/id", "identity/group-alias/id",
    "identity/oidc/key", "identity/oidc/role", "sys/plugins/catalog/secret", "cubbyhole",
)  # fmt: skip
_READS = ("sys/mounts", "sys/auth", "sys/audit", "sys/locked-users", "sys/config/cors", "sys/seal-status")
_GONE_WITHIN_S = 20.0
_OF_A_REQUEST = ("request_id",)


def everything(server: Server, namespace: str = "") -> dict[str, Any]:
    """By path what the server lists and reads, in this namespace and in all below it."""
    found: dict[str, Any] = {}
    for path in _LISTS:
        found[path] = _asked(server, namespace, "LIST", path)
    for path in _READS:
        found[path] = _asked(server, namespace, "GET", path)
    credentials = (found["auth/token/accessors"] or {}).get("data") or {}
    found["auth/token/accessors"] = [
        one
        for one in credentials.get("keys", ())
        if _stands(server, namespace, "auth/token/lookup-accessor", {"accessor": one})
    ]
    found["leases"] = sorted(_leases(server, namespace))
    mounts = (found["sys/mounts"] or {}).get("data") or {}
    for mount, described in mounts.items():
        if described["type"] == "kv":
            for path, listed in _tree(server, namespace, f"{mount}metadata").items():
                found[path] = listed
                for name in listed["data"]["keys"]:
                    if not name.endswith("/"):
                        found[f"{path}/{name}"] = _asked(server, namespace, "GET", f"{path}/{name}")
    for below in ((found["sys/namespaces"] or {}).get("data") or {}).get("keys", ()):
        for path, one in everything(server, f"{namespace}{below}").items():
            found[f"{below}{path}"] = one
    return found


def _leases(server: Server, namespace: str) -> Iterator[str]:
    """Leases that have not ended: others are listed until the server sweeps."""
    before = "sys/leases/lookup"
    for path, listed in _tree(server, namespace, before).items():
        for name in listed["data"]["keys"]:
            lease = f"{path}/{name}".removeprefix(f"{before}/")
            if not name.endswith("/") and _stands(server, namespace, before, {"lease_id": lease}):
                yield lease


def _stands(server: Server, namespace: str, path: str, body: dict[str, str]) -> bool:
    """Whether the server knows something by what it lists it as."""
    answer = send(server.port, "POST", f"/v1/{path}", _headers(server, namespace), json.dumps(body).encode())
    return answer.status == 200


def _headers(server: Server, namespace: str) -> dict[str, str]:
    return {"X-Vault-Token": server.root, **({"X-Vault-Namespace": namespace} if namespace else {})}


def _tree(server: Server, namespace: str, path: str) -> dict[str, Any]:
    """A folder and all folders below it."""
    listed = _asked(server, namespace, "LIST", path)
    if listed is None:
        return {}
    found = {path: listed}
    for name in listed["data"]["keys"]:
        if name.endswith("/"):
            found.update(_tree(server, namespace, f"{path}/{name.rstrip('/')}"))
    return found


def _asked(server: Server, namespace: str, method: str, path: str) -> Any:
    """What stands in an answer, without what is of this request alone; None where there is nothing."""
    answer = send(server.port, method, f"/v1/{path}", _headers(server, namespace), None)
    assert answer.status in {200, 404}, (path, answer.status, answer.body)
    if answer.status == 404:
        return None
    body = json.loads(answer.body)
    keys = (body.get("data") or {}).get("keys")
    if keys is not None:
        keys.sort()
    return {name: value for name, value in body.items() if name not in _OF_A_REQUEST}


def changes(server: Server, before: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """By path what is otherwise now; removal may take servers a moment."""
    deadline = time.monotonic() + _GONE_WITHIN_S
    while True:
        after = everything(server)
        found = {path: (before.get(path), after.get(path)) for path in before.keys() | after.keys()}
        found = {path: both for path, both in found.items() if both[0] != both[1]}
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
