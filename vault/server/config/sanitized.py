# SPDX-License-Identifier: EUPL-1.2
"""The settings that `sys/config/state/sanitized` shows: a list of what may be seen, not of what may not (SL-57)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vault.server.config.settings import Config, Listener, UserLockout
from vault.values.times import nanos_of

_SHOWN: Final = (
    "allow_audit_log_prefixing",
    "api_addr",
    "cluster_addr",
    "cluster_name",
    "disable_mlock",
    "introspection_endpoint",
    "log_format",
    "log_level",
    "raw_storage_endpoint",
    "unsafe_allow_api_audit_creation",
)
_SECONDS: Final = ("default_lease_ttl", "default_max_request_duration", "max_lease_ttl")


def sanitized(config: Config) -> Mapping[str, object]:
    """Return what may be shown, on OpenBao's names. Durations are whole seconds, those of `user_lockout` nanoseconds."""
    shown: dict[str, object] = {name: getattr(config, name) for name in _SHOWN}
    shown |= {name: int(getattr(config, name)) for name in _SECONDS}
    shown["enable_ui"] = config.ui
    shown["listeners"] = [_listener(listener) for listener in config.listeners]
    shown["seals"] = [{"disabled": seal.disabled, "type": seal.kind} for seal in config.seals] or [
        {"disabled": False, "type": "shamir"}
    ]
    shown["storage"] = {"type": config.storage.kind}
    shown["telemetry"] = {
        "metrics_prefix": config.telemetry.metrics_prefix,
        "prometheus_retention_time": int(config.telemetry.prometheus_retention_time),
    }
    if config.user_lockout:
        shown["user_lockout_configs"] = [_lockout(each) for each in _lockouts(config)]
    return dict(sorted(shown.items()))


def _lockouts(config: Config) -> list[UserLockout]:
    """Return what is set, and what holds for all others where that is not among it."""
    named = list(config.user_lockout)
    return named if any(each.kind == "all" for each in named) else [UserLockout(kind="all"), *named]


def _lockout(lockout: UserLockout) -> dict[str, object]:
    return {
        "disable_lockout": lockout.disable_lockout,
        "lockout_counter_reset": nanos_of(lockout.lockout_counter_reset),
        "lockout_duration": nanos_of(lockout.lockout_duration),
        "lockout_threshold": lockout.lockout_threshold,
        "type": lockout.kind,
    }


def _listener(listener: Listener) -> dict[str, object]:
    settings = {"address": listener.address, "tls_disable": listener.tls_disable}
    return {"config": settings, "type": listener.kind}
