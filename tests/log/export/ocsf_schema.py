# SPDX-License-Identifier: EUPL-1.2
"""What OCSF 1.9.0 asks of the events that we export: attributes of classes and objects, which are required, and types.

Read from the schema's repository; of each object, what we write is listed and what is required, and nothing else.
An attribute is written `name`, `name!` where it is required, `name:type`, and `name:type*` for a list; without a type
it is a text.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_BASE: Final = (
    "activity_id!:number activity_name category_uid!:number class_name class_uid!:number message metadata!:metadata "
    "raw_data severity severity_id!:number status status_code status_detail status_id:number time!:number type_uid!:number "
    "unmapped:object time_dt:time attestation_list:attestation* action action_id:number authorizations:authorization*"
)
_REQUEST: Final = (
    "actor:actor http_request:http_request http_response:http_response src_endpoint:network_endpoint"
)
_CHANGE: Final = f"{_BASE} {_REQUEST} resources:resource_details*"
CLASSES: Final[Mapping[int, str]] = {
    0: _BASE,
    3002: f"{_BASE} {_REQUEST} user!:user service:service session:session",
    3003: f"{_BASE} {_REQUEST} user!:user privileges:text* session:session",
    3006: f"{_CHANGE} group!:group",
    3007: f"{_CHANGE} user!:user",
    3008: f"{_CHANGE} iam_role!:iam_role",
    6002: f"{_BASE} app!:product",
    6003: f"{_CHANGE} actor!:actor api!:api src_endpoint!:network_endpoint trace:trace",
}
"""Attributes of each class. One that is listed twice is as its last listing says."""
OBJECTS: Final[Mapping[str, str]] = {
    "actor": "session:session user:user",
    "api": "operation! request:request response:response service:service",
    "attestation": "chain_uid fingerprint:fingerprint prev_event:prev_event",
    "authorization": "decision policy:policy",
    "fingerprint": (
        "algorithm algorithm_id!:number encoding encoding_id:number serialization serialization_id:number value!"
    ),
    "group": "name uid",
    "http_request": "http_method uid url:url",
    "http_response": "code!:number",
    "iam_role": "name uid",
    "metadata": (
        "correlation_uid event_code log_name log_version logged_time:number logged_time_dt:time product!:product "
        "profiles:text* sequence:number tenant_uid type uid version!"
    ),
    "network_endpoint": "ip:address name",
    "policy": "data:json name type",
    "prev_event": "fingerprint:fingerprint uid!",
    "product": "name vendor_name",
    "request": "data:json uid!",
    "resource_details": "role_id:number type uid version",
    "response": "code:number data:json error",
    "service": "name",
    "session": "uid",
    "trace": "uid!",
    "url": "path",
    "user": "name type type_id:number uid",
}
_ONE_OF: Final[Mapping[object, str]] = {
    3002: "service dst_endpoint",
    3003: "privileges groups iam_roles",
    "actor": "session user process iam_role app_name app_uid",
    "attestation": "fingerprint signatures",
    "group": "name uid",
    "iam_role": "name uid",
    "network_endpoint": "ip name uid hostname",
    "policy": "name type uid",
    "product": "name uid",
    "resource_details": "name uid",
    "service": "name uid",
    "url": "path url_string",
    "user": "account name uid",
}
"""Of these attributes a class or an object has one at least."""
PROFILES: Final = {
    "datetime": {"time_dt", "logged_time_dt"},
    "record_integrity": {"attestation_list"},
    "security_control": {"action", "action_id", "authorizations"},
    "trace": {"trace"},
}
"""Attributes that an event has only by a profile, which it has to name."""
_CAPTIONS: Final[Mapping[str, Mapping[int, str]]] = {
    "action_id": {0: "Unknown", 1: "Allowed", 2: "Denied", 3: "Observed", 4: "Modified"},
    "algorithm_id": {3: "SHA-256", 4: "SHA-512"},
    "encoding_id": {1: "Hex", 2: "Base64", 3: "Base64URL"},
    "role_id": {1: "Target", 2: "Actor", 3: "Affected", 4: "Related"},
    "serialization_id": {0: "Unknown", 1: "Flat", 2: "JCS"},
    "severity_id": {
        0: "Unknown",
        1: "Informational",
        2: "Low",
        3: "Medium",
        4: "High",
        5: "Critical",
        6: "Fatal",
    },
    "status_id": {0: "Unknown", 1: "Success", 2: "Failure"},
    "type_id": {0: "Unknown", 1: "User", 2: "Admin", 3: "System", 4: "Service"},
}
"""Numbers and what they are called beside; 99 is called whatever the source says."""
NAMES: Final = {
    0: "Base Event", 3002: "Authentication", 3003: "Authorize Session", 3006: "Group Management", 3007: "User Management",
    3008: "Role Management", 6002: "Application Lifecycle", 6003: "API Activity",
}  # fmt: skip
ACTIVITIES: Final[Mapping[int, Mapping[int, str]]] = {
    0: {},
    3002: {1: "Logon", 2: "Logoff", 6: "Preauth", 7: "Account Switch"},
    3003: {1: "Assign Privileges", 2: "Assign Groups", 3: "Assign Roles"},
    3006: {3: "Add User", 4: "Remove User", 5: "Delete", 6: "Create", 9: "Update"},
    3007: {
        1: "Create", 2: "Update", 3: "Delete", 4: "Enable", 5: "Disable", 6: "Lock", 7: "Unlock", 8: "Password Change",
        12: "Enable MFA Factors", 13: "Disable MFA Factors", 18: "Add Programmatic Credentials",
        19: "Remove Programmatic Credentials",
    },
    3008: {
        1: "Create", 2: "Update", 3: "Delete", 10: "Add Programmatic Credentials", 11: "Remove Programmatic Credentials",
    },
    6002: {1: "Install", 2: "Remove", 3: "Start", 4: "Stop", 5: "Restart", 6: "Enable", 7: "Disable", 8: "Update"},
    6003: {1: "Create", 2: "Read", 3: "Update", 4: "Delete"},
}  # fmt: skip
_METHODS: Final = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_ATTRIBUTE: Final = re.compile(r"(\w+)(!?)(?::(\w+)(\*?))?")
_FORMS: Final = {
    "address": re.compile(r"[0-9a-fA-F.:]{2,39}(?:%.+)?"),
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"),
}
"""The form of texts that have one."""
OTHER: Final = 99


def problems(event: Any) -> list[str]:
    """What is wrong with an event; nothing for one that OCSF takes."""
    kind, activity = event.get("class_uid"), event.get("activity_id")
    if kind not in CLASSES:
        return [f"class_uid: {kind}"]
    found = [*_object(event, CLASSES[kind], kind, str(kind)), *_profiles(event)]
    if event.get("category_uid") != kind // 1000 or event.get("type_uid") != kind * 100 + activity:
        found.append(f"{kind}: category_uid or type_uid")
    if event.get("class_name") != NAMES[kind]:
        found.append(f"{kind}: class_name")
    if activity != OTHER and event.get("activity_name") != ACTIVITIES[kind].get(activity):
        found.append(f"{kind}: activity_name")
    return found


def _object(item: Any, attributes: str, name: object, at: str) -> Iterator[str]:
    if not isinstance(item, dict):
        yield f"{at}: no object"
        return
    known = {
        found[1]: (found[2] == "!", found[3] or "text", found[4] == "*")
        for found in _ATTRIBUTE.finditer(attributes)
    }
    yield from (
        f"{at}.{missing}: missing"
        for missing, (required, _, _) in known.items()
        if required and missing not in item
    )
    if name in _ONE_OF and item.keys().isdisjoint(_ONE_OF[name].split()):
        yield f"{at}: none of {_ONE_OF[name]}"
    for key, value in item.items():
        if key not in known:
            yield f"{at}.{key}: unknown"
            continue
        _, kind, listed = known[key]
        if listed and not isinstance(value, list):
            yield f"{at}.{key}: no list"
            continue
        for each in value if listed else [value]:
            yield from _value(each, kind, f"{at}.{key}")
        yield from _caption(item, key, at)


def _value(value: Any, kind: str, at: str) -> Iterator[str]:
    if kind in OBJECTS:
        yield from _object(value, OBJECTS[kind], kind, at)
        return
    if not _fits(value, kind) or (at.endswith(".http_method") and value not in _METHODS):
        yield f"{at}: {value!r}"


def _fits(value: Any, kind: str) -> bool:
    match kind:
        case "json":
            return True
        case "number":
            return type(value) is int
        case "object":
            return isinstance(value, dict)
        case _:
            form = _FORMS.get(kind)
            return isinstance(value, str) and (form is None or form.fullmatch(value) is not None)


def _caption(item: Mapping[str, Any], key: str, at: str) -> Iterator[str]:
    """Whether a number is one that there is, and called what it is called."""
    captions, number = _CAPTIONS.get(key), item[key]
    name = key.removesuffix("_id")
    if (
        captions is not None
        and number != OTHER
        and item.get(name, captions.get(number)) != captions.get(number, 0)
    ):
        yield f"{at}.{key}: {number} {item.get(name)}"


def _profiles(event: Any) -> Iterator[str]:
    metadata = event.get("metadata", {})
    named = {*metadata.get("profiles", [])}
    for profile, attributes in PROFILES.items():
        used = attributes & {*event, *metadata}
        if used and profile not in named:
            yield f"profile {profile} is not named: {used}"
