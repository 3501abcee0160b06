# SPDX-License-Identifier: EUPL-1.2
"""Which class and activity of OCSF 1.9 an event is.

Most events are API Activity. What changes users, groups or roles is of the classes for that, a login is Authentication,
and what the server notes of its own life is Application Lifecycle, or a Base Event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from vault.log.export.meaning import Action, action, said

OTHER: Final = 99


class EventClass(NamedTuple):
    """A class of OCSF."""

    uid: int
    name: str
    activities: Mapping[int, str]
    """The captions of the activities that are used here."""

    @property
    def category(self) -> int:
        """The category that it is in."""
        return self.uid // 1000


API: Final = EventClass(6003, "API Activity", {1: "Create", 2: "Read", 3: "Update", 4: "Delete"})
AUTHENTICATION: Final = EventClass(3002, "Authentication", {1: "Logon", 6: "Preauth"})
SESSION: Final = EventClass(3003, "Authorize Session", {1: "Assign Privileges"})
GROUPS: Final = EventClass(3006, "Group Management", {5: "Delete", 9: "Update"})
USERS: Final = EventClass(
    3007,
    "User Management",
    {
        2: "Update", 3: "Delete", 7: "Unlock", 8: "Password Change", 12: "Enable MFA Factors",
        13: "Disable MFA Factors", 18: "Add Programmatic Credentials", 19: "Remove Programmatic Credentials",
    },
)  # fmt: skip
ROLES: Final = EventClass(
    3008,
    "Role Management",
    {2: "Update", 3: "Delete", 10: "Add Programmatic Credentials", 11: "Remove Programmatic Credentials"},
)
LIFECYCLE: Final = EventClass(
    6002, "Application Lifecycle", {3: "Start", 4: "Stop", 6: "Enable", 7: "Disable"}
)
BASE: Final = EventClass(0, "Base Event", {})

IDENTITY: Final = frozenset({AUTHENTICATION.uid, SESSION.uid, GROUPS.uid, USERS.uid, ROLES.uid})
"""Classes of Identity and Access Management."""
_ISSUES: Final = frozenset({"esa.auth.token.issue", "esa.nhi.issue"})
"""Events that give somebody policies, as their outcome tells."""
BY_EVENT: Final[Mapping[str, tuple[EventClass, int]]] = {
    "esa.auth.login": (AUTHENTICATION, 1),
    "esa.auth.login.mfa": (AUTHENTICATION, 1),
    "esa.auth.login.start": (AUTHENTICATION, 6),
    "esa.auth.lockout.unlock": (USERS, 7),
    "esa.identity.alias.delete": (USERS, 2),
    "esa.identity.alias.write": (USERS, 2),
    "esa.identity.entity.delete": (USERS, 3),
    "esa.identity.entity.merge": (USERS, 2),
    "esa.identity.entity.write": (USERS, 2),
    "esa.identity.group.delete": (GROUPS, 5),
    "esa.identity.group.write": (GROUPS, 9),
    "esa.identity.mfa.secret.delete": (USERS, 13),
    "esa.identity.mfa.secret.issue": (USERS, 12),
    "esa.nhi.secret.issue": (USERS, 18),
    "esa.nhi.secret.revoke": (USERS, 19),
    "esa.nhi.workload.delete": (USERS, 3),
    "esa.nhi.workload.write": (USERS, 2),
    "esa.userpass.password.write": (USERS, 8),
    "esa.userpass.user.delete": (USERS, 3),
    "esa.userpass.user.write": (USERS, 2),
    "esa.approle.role_id.write": (ROLES, 2),
    "esa.approle.secret_id.issue": (ROLES, 10),
    "esa.approle.secret_id.revoke": (ROLES, 11),
    **{
        f"esa.{kind}.{verb}": (ROLES, activity)
        for kind in (
            "approle.role",
            "auth.token.role",
            "cert.role",
            "jwt.role",
            "kubernetes.role",
            "nhi.registration",
        )
        for verb, activity in (("write", 2), ("delete", 3))
    },
    "esa.seal.closed": (LIFECYCLE, 7),
    "esa.seal.opened": (LIFECYCLE, 6),
    "esa.server.start": (LIFECYCLE, 3),
    "esa.server.stop": (LIFECYCLE, 4),
}
"""Events that are not API Activity."""
_ACTIONS: Final = {Action.CREATE: 1, Action.READ: 2, Action.UPDATE: 3, Action.DELETE: 4, Action.OTHER: OTHER}


def event_class(record: Mapping[str, Any]) -> tuple[EventClass, int, str]:
    """Return the class of a record, the number of its activity, and what that is called.

    An activity that OCSF has none for is called by the verb of the event.
    """
    event = said(record, "event_name")
    known = BY_EVENT.get(event)
    if known is not None:
        return *known, known[0].activities[known[1]]
    if event in _ISSUES and granted_policies(record):
        return SESSION, 1, SESSION.activities[1]
    done, verb = action(event)
    if record.get("phase") == "notice":
        return BASE, OTHER, verb
    return API, _ACTIONS[done], API.activities.get(_ACTIONS[done], verb)


def granted_policies(record: Mapping[str, Any]) -> list[str]:
    """Return the policies of the credential that an answer brought."""
    policies = issued(record).get("policies")
    return [each for each in policies if isinstance(each, str)] if isinstance(policies, list) else []


def issued(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a record says of the credential that an answer brought."""
    found: object = record
    for name in ("fields", "response", "auth"):
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}
