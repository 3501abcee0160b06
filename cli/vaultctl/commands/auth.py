# SPDX-License-Identifier: EUPL-1.2
"""auth enable, list, tune, move and disable."""

from __future__ import annotations

from vaultctl.commands.secrets import details, list_table, moved, options_of
from vaultctl.errors import EXIT_OK
from vaultctl.invocation import ErrorPrefix, Invocation
from vaultctl.text.go import duration_text

_LOCKOUT = (
    ("user-lockout-threshold", "lockout_threshold"),
    ("user-lockout-duration", "lockout_duration"),
    ("user-lockout-counter-reset-duration", "lockout_counter_reset_duration"),
    ("user-lockout-disable", "lockout_disable"),
)


def enable(invocation: Invocation) -> int:
    """Mount an auth method."""
    kind = invocation.args[0].strip()
    if kind == "plugin":
        kind = invocation.text("plugin-name")
    path = (invocation.text("path") or kind).strip(" /")
    config: dict[str, object] = {
        "options": None,
        "default_lease_ttl": duration_text(invocation.number("default-lease-ttl") or 0),
        "max_lease_ttl": duration_text(invocation.number("max-lease-ttl") or 0),
        "force_no_cache": False,
        **details(invocation),
        **_token_type(invocation),
    }
    if invocation.text("plugin-version"):
        config["plugin_version"] = invocation.text("plugin-version")
    body: dict[str, object] = {
        "type": kind,
        "description": invocation.text("description"),
        "config": config,
        "local": invocation.truth("local"),
        "seal_wrap": invocation.truth("seal-wrap"),
        "external_entropy_access": invocation.truth("external-entropy-access"),
        "options": options_of(invocation),
    }
    with ErrorPrefix(f"Error enabling {kind} auth"):
        invocation.client.send("POST", f"sys/auth/{path}", body=body)
    invocation.say(f"Success! Enabled {kind} auth method at: {path}/")
    return EXIT_OK


def tune(invocation: Invocation) -> int:
    """Change a method's settings; those not given stay as they are."""
    path = invocation.args[0].strip(" /")
    default, longest = invocation.number("default-lease-ttl"), invocation.number("max-lease-ttl")
    body: dict[str, object] = {
        "options": options_of(invocation),
        "default_lease_ttl": "" if default is None else duration_text(default),
    }
    if "description" in invocation.flags:
        body["description"] = invocation.text("description")
    body |= {
        "max_lease_ttl": "" if longest is None else duration_text(longest),
        "force_no_cache": False,
        **details(invocation),
        **_token_type(invocation),
    }
    lockout = {key: _lockout(invocation, flag) for flag, key in _LOCKOUT if flag in invocation.flags}
    if lockout:
        body["user_lockout_config"] = lockout
    if invocation.text("plugin-version"):
        body["plugin_version"] = invocation.text("plugin-version")
    with ErrorPrefix(f"Error tuning auth method {path}/"):
        invocation.client.send("POST", f"sys/mounts/auth/{path}/tune", body=body)
    invocation.say(f"Success! Tuned the auth method at: {path}/")
    return EXIT_OK


def list_methods(invocation: Invocation) -> int:
    """List the auth methods."""
    return list_table(invocation, "sys/auth", "Error listing enabled authentications")


def move(invocation: Invocation) -> int:
    """Move an auth method to another path, into another namespace too."""
    return moved(invocation, "auth method")


def disable(invocation: Invocation) -> int:
    """Remove an auth method; every token that came from it ends."""
    path = invocation.args[0].strip(" /")
    with ErrorPrefix(f"Error disabling auth method at {path}/"):
        invocation.client.send("DELETE", f"sys/auth/{path}")
    invocation.say(f"Success! Disabled the auth method (if it existed) at: {path}/")
    return EXIT_OK


def _token_type(invocation: Invocation) -> dict[str, object]:
    return {"token_type": invocation.text("token-type")} if "token-type" in invocation.flags else {}


def _lockout(invocation: Invocation, flag: str) -> object:
    if flag == "user-lockout-disable":
        return invocation.truth(flag)
    number = invocation.number(flag) or 0
    return str(number) if flag == "user-lockout-threshold" else duration_text(number)
