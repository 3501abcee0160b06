# SPDX-License-Identifier: EUPL-1.2
"""Declarations: audit devices, and the log."""

from __future__ import annotations

from vaultctl.flags import Flag
from vaultctl.tree.command import Command

_NONE = (0, 0, "0")
_ONE = (1, 1, "1")

COMMANDS = (
    Command(
        "audit enable",
        "audit.devices:enable",
        "[options] TYPE [KEY=VALUE...]",
        (1, None, "at least 1"),
        "Create an audit device",
        details="Servers take audit devices from their configuration unless unsafe_allow_api_audit_creation is set.",
        flags=(
            Flag("path", "text", "Name of the device; default: the type."),
            Flag("description", "text", "What the device is for."),
            Flag("local", "bool", "Not replicated."),
        ),
    ),
    Command("audit disable", "audit.devices:disable", "[options] PATH", _ONE, "Remove an audit device"),
    Command(
        "audit list",
        "audit.devices:list_devices",
        "[options]",
        _NONE,
        "List audit devices",
        output="format",
        flags=(Flag("detailed", "bool", "Show every setting."),),
    ),
)
