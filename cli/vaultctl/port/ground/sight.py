# SPDX-License-Identifier: EUPL-1.2
"""Whether a token sees whole lists: a policy may have a server leave out what the token may not reach, without a word."""

from __future__ import annotations

from vaultctl.errors import ApiError
from vaultctl.port.ground.server import Server
from vaultctl.text.json import as_list, as_map

_FILTER = "list_scan_response_keys_filter_path"
_UNKNOWN = (
    "whether lists show all is not known, for this token may not read its own policies (auth/token/lookup-self, "
    "sys/policies/acl): more may be there than moves, and nothing that is gone is removed"
)


def why_not_whole(server: Server) -> tuple[str, bool]:
    """Why lists may leave something out, and whether they do for sure. Empty where they are whole."""
    try:
        token = server.read("auth/token/lookup-self") or {}
        names = {
            str(name) for name in (*as_list(token.get("policies")), *as_list(token.get("identity_policies")))
        }
        if "root" in names:
            return "", False
        own = str(token.get("namespace_path") or "").strip("/") == server.namespace.strip("/")
        if not own or as_map(token.get("external_namespace_policies")) or not names:
            return _UNKNOWN, False
        for name in sorted(names):
            text = str((server.read(f"sys/policies/acl/{name}") or {}).get("policy", ""))
            if _FILTER in text:
                return (
                    f"policy {name} filters lists for this token ({_FILTER}): what they do not show does not move, and "
                    "nothing that is gone is removed"
                ), True
    except ApiError as error:
        if error.status >= 500 and error.status != 501:
            raise
        return _UNKNOWN, False
    return "", False
