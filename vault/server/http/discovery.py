# SPDX-License-Identifier: EUPL-1.2
"""What the server says of itself to anybody: the discovery document of the European Secrets API, and `security.txt`.

Neither says anything of namespaces, mounts or keys. The document names what this program does, and of the log what the
configuration switches on; who may use it is decided where it is used.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from vault import __version__
from vault.framework import schema
from vault.idempotency.kept_answers import KEPT_FOR
from vault.server.config.discovery_settings import DiscoverySettings
from vault.server.config.settings import Config, Listener
from vault.values.times import Millis
from vault.wire.answers import NO_STORE, TRANSPORT

DISCOVERY: Final = "/.well-known/european-secrets-api"
SECURITY: Final = "/.well-known/security.txt"
_SPEC: Final = "https://w3id.org/european-secrets-api/1.0"
_PROFILES: Final = ("kv-consume", "kv-manage", "identity", "X-wrap", "X-ns", "X-transit")
_FEATURES: Final = (
    "approle", "deprecation", "discovery", "etag", "exact-numbers", "idempotency", "namespaces", "paging", "patch", "problem-json",
    "redacted-errors", "retry-after", "seal", "subkeys", "wrap",
)  # fmt: skip
"""Those of profiles that are claimed, and that the suite finds: X-nhi is not claimed before it has tests."""
_LOG_FEATURES: Final = (
    "hash-all-scalars",
    "lifecycle",
    "proof",
    "query",
    "receipt",
    "record",
    "sequence",
    "trace",
)
_LONGEST_CREDENTIAL: Final = 8000
"""Characters of a credential that is taken on every way in (NHI-016)."""


def well_known(config: Config, listener: Listener, now: Callable[[], Millis]) -> Sequence[BaseRoute]:
    """Return the routes of both documents; `now` tells whether `security.txt` still holds."""
    headers = {name.decode(): value.decode() for name, value in (NO_STORE, TRANSPORT)}
    document = schema.encode(describe(config, listener)) + b"\n"

    async def discovered(_: Request) -> Response:
        return Response(document, headers={**headers, "content-type": "application/json"})

    said = [Route(DISCOVERY, discovered, methods=["GET"])]
    if config.discovery.security_contact:
        said.append(Route(SECURITY, _security(config.discovery, now, headers), methods=["GET"]))
    return said


def describe(config: Config, listener: Listener) -> Mapping[str, object]:
    """Return the discovery document of a listener."""
    settings, log = config.discovery, config.log
    features = {*_FEATURES}
    if log.path:
        features |= {*_LOG_FEATURES}
        features |= {name for name, there in (("devices", log.devices), ("witness", log.witnesses)) if there}
        if log.retention_max:
            features.add("retention")
    profiles = (*_PROFILES, "log") if log.path else _PROFILES
    about = {
        "project": "coffre",
        "version": "" if settings.hide_version else __version__,
        "support_until": settings.support_until,
        "advisories": settings.advisories,
    }
    said: dict[str, object] = {
        "spec": _SPEC,
        "implementation": {name: value for name, value in about.items() if value},
        "conformsTo": [f"{_SPEC}/{name}" for name in profiles],
        "bindings": [{"name": "compat", "base": "/v1"}],
        "features": sorted(features),
        "limits": {
            "body": listener.max_request_size,
            "credential": _LONGEST_CREDENTIAL,
            "idempotency_s": int(KEPT_FOR),
        },
        "links": {
            "health": "/v1/sys/health",
            "openapi": "/v1/sys/internal/specs/openapi",
            "deprecations": "/v1/sys/internal/specs/openapi",
            "crypto": "/v1/sys/crypto/inventory",
            **({"log": "/v1/sys/log"} if log.path else {}),
        },
        "environment": settings.environment,
    }
    if log.path:
        kept = {"min": log.retention_min, "max": log.retention_max}
        said["log"] = {
            "formats": ["esa-1", "otlp-json", "ocsf-1.9", "ecs"],
            "retention": {name: f"PT{int(seconds)}S" for name, seconds in kept.items() if seconds},
            "durable": "written",
            "checkpoint_s": 1,
            **({"witness_s": int(log.witness_interval)} if log.witnesses else {}),
        }
    return said


def _security(
    settings: DiscoverySettings, now: Callable[[], Millis], headers: Mapping[str, str]
) -> Callable[[Request], Awaitable[Response]]:
    expires = datetime.fromisoformat(settings.security_expires).replace(tzinfo=UTC)
    lines = [f"Contact: {contact}" for contact in settings.security_contact]
    lines.append(f"Expires: {expires:%Y-%m-%dT%H:%M:%SZ}")
    if settings.security_policy:
        lines.append(f"Policy: {settings.security_policy}")
    if settings.security_languages:
        lines.append(f"Preferred-Languages: {', '.join(settings.security_languages)}")
    text = "\n".join(lines) + "\n"

    async def answer(_: Request) -> Response:
        if now() >= expires.timestamp() * 1000:
            return Response(
                "404 page not found\n", 404, {**headers, "content-type": "text/plain; charset=utf-8"}
            )
        return Response(text, headers={**headers, "content-type": "text/plain; charset=utf-8"})

    return answer
