# SPDX-License-Identifier: EUPL-1.2
"""OpenAPI of each profile of the European Secrets API: the operations that it is about, with what surrounds every answer.

The whole document has the form that OpenBao's has, on which its clients rely: the data of an answer alone. A client that
is generated needs what is on the wire, so these documents have the envelope and the two forms of a refusal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

SPEC_VERSION: Final = "1.0"
_GENERAL: Final = ("sys/health", "sys/seal-status", "sys/internal/specs/openapi")
PROFILES: Final[Mapping[str, Sequence[str]]] = {
    "kv-consume": ("secret/data/", "secret/delete/", "secret/undelete/", "secret/destroy/", "secret/subkeys/", "GET secret/metadata/"),
    "kv-manage": ("secret/config", "secret/metadata/", "secret/detailed-metadata/", "sys/mounts"),
    "identity": (
        "auth/token/", "auth/approle/", "sys/auth", "sys/policies/acl", "sys/capabilities", "identity/entity", "identity/group",
        "identity/lookup/",
    ),
    "log": ("sys/log/",),
    "leases": ("sys/leases/",),
    "X-wrap": ("sys/wrapping/",),
    "X-ns": ("sys/namespaces",),
    "X-nhi": ("nhi/", "auth/nhi/", "auth/jwt/", "auth/kubernetes/", "auth/cert/"),
    "X-hsm": ("sys/seal-slots", "sys/external-keys/"),
    "X-transit": ("transit/",),
    "X-crypto": ("sys/crypto/",),
}  # fmt: skip
"""What is at the beginning of the paths of each profile that this server has, as its routes are by default; with a verb, of it alone."""
_BARE: Final = (
    "/sys/health", "/sys/seal-status", "/sys/internal/specs/openapi", "/sys/log/checkpoints/", "/sys/log/records/{log}/{seq}/proof",
    "/sys/log/schema", "/sys/log/segments/{log}/{first}", "/sys/log/tiles/", "/nhi/oauth2/", "/nhi/.well-known/",
)  # fmt: skip
"""What is at the beginning of paths whose answers have nothing around them: those of other protocols, and what is no JSON."""
_ENVELOPE: Final[Mapping[str, Any]] = {
    "request_id": {"type": "string", "description": "What the log knows the request by."},
    "lease_id": {"type": "string"},
    "lease_duration": {"type": "integer", "description": "Seconds."},
    "renewable": {"type": "boolean"},
    "warnings": {"type": ["array", "null"], "items": {"type": "string"}},
    "auth": {"type": ["object", "null"], "description": "The credential, where the answer brings one."},
    "wrap_info": {
        "type": ["object", "null"],
        "description": "Where the answer waits, if it was asked for wrapped.",
    },
}
_REFUSED: Final[Mapping[str, Any]] = {
    "description": "Refused.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["errors"],
                "properties": {"errors": {"type": "array", "items": {"type": "string"}}},
            }
        },
        "application/problem+json": {
            "schema": {
                "type": "object",
                "required": ["type", "title", "status"],
                "properties": {
                    "type": {"type": "string", "description": "A kind of the registry of problems."},
                    "title": {"type": "string"},
                    "status": {"type": "integer"},
                    "detail": {"type": "string"},
                    "instance": {"type": "string"},
                },
            }
        },
    },
}
_REFERENCE: Final = "#/components/schemas/"


def documents(whole: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and document of each profile that has operations, from the document of all routes."""
    for profile, begins in PROFILES.items():
        paths = _paths(whole["paths"], begins)
        if paths:
            yield profile, _document(whole, profile, {**paths, **_paths(whole["paths"], _GENERAL)})


def _paths(paths: Mapping[str, Any], begins: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, item in paths.items():
        kept = {
            verb: _on_the_wire(path, operation)
            for verb, operation in item.items()
            if any(_is_of(path, verb, begin) for begin in begins)
        }
        if kept:
            found[path] = kept
    return found


def _is_of(path: str, verb: str, begin: str) -> bool:
    wanted, _, place = begin.rpartition(" ")
    return path.startswith(f"/{place}") and wanted.lower() in {"", verb}


def _on_the_wire(path: str, operation: Mapping[str, Any]) -> dict[str, Any]:
    """Return an operation with its answers as clients get them."""
    made = deepcopy(dict(operation))
    made.pop("x-vault-createSupported", None)
    answers = made["responses"]
    if "200" in answers and not path.startswith(_BARE):
        media = answers["200"].setdefault(
            "content", {"application/json": {"schema": {"type": ["object", "null"]}}}
        )
        for one in media.values():
            one["schema"] = {
                "type": "object",
                "required": ["request_id"],
                "properties": {**_ENVELOPE, "data": one["schema"]},
            }
    answers["default"] = {"$ref": "#/components/responses/Refused"}
    return made


def _document(whole: Mapping[str, Any], profile: str, paths: Mapping[str, Any]) -> dict[str, Any]:
    components = whole["components"]
    return {
        "openapi": whole["openapi"],
        "info": {
            "title": f"European Secrets API, profile {profile}",
            "description": "Mounts have their default paths; a server may have them elsewhere.",
            "version": SPEC_VERSION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/v1"}],
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": _used(paths, components["schemas"]),
            "responses": {"Refused": _REFUSED},
            "securitySchemes": components["securitySchemes"],
        },
    }


def _used(paths: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Return those schemas that are referred to, by paths or by each other."""
    found: dict[str, Any] = {}
    waiting = [*_references(paths)]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found[name] = schemas[name]
            waiting += _references(schemas[name])
    return dict(sorted(found.items()))


def _references(part: object) -> Iterator[str]:
    if isinstance(part, Mapping):
        reference = part.get("$ref")
        if isinstance(reference, str) and reference.startswith(_REFERENCE):
            yield reference.removeprefix(_REFERENCE)
        for inner in part.values():
            yield from _references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from _references(inner)
