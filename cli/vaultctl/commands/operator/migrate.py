# SPDX-License-Identifier: EUPL-1.2
"""operator migrate: a vault carried into another storage, while no server runs."""

from __future__ import annotations

from vaultctl.commands.operator.snapshot import Progress, ended_by_signals
from vaultctl.commands.server import module_of_server
from vaultctl.errors import EXIT_OK, EXIT_REMOTE, CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from vaultctl.invocation import Invocation

_PATH = "MIGRATE_CONFIG_PATH"
_LEVELS = ("trace", "debug", "info", "warn", "error")
_AFTERWARDS = (
    "\nStart servers on the new storage only, and keep the old one until you have seen them work. What they are told from then "
    "on is not in the old one: a server that is started there would have the same keys, and other secrets."
)


def migrate(invocation: Invocation) -> int:
    """Carry everything from one storage to another, and compare it entry by entry."""
    module = module_of_server("vault.server.offline.moves")
    if invocation.text("log-level").lower() not in ("", *_LEVELS):
        raise CommandError(f"-log-level is one of {', '.join(_LEVELS)}")
    if invocation.text("start"):
        raise CommandError("-start would carry a part of a vault, which opens nowhere; leave it out")
    environ = invocation.environ
    file = invocation.text("config") or environ.get(f"BAO_{_PATH}") or environ.get(f"VAULT_{_PATH}")
    if not file:
        raise CommandError("Must specify exactly one config path using -config")
    if invocation.truth("reset"):
        invocation.say("Success! Migration lock reset (if it was set).")
        return EXIT_OK
    try:
        source, destination = module.ends(file)
    except module.Failures as failure:
        raise CommandError(f"Error loading configuration from {file}: {failure}") from None
    try:
        with ended_by_signals():
            moved: Mapping[str, Any] = module.carry(source, destination, Progress(invocation))
    except module.Failures as failure:
        raise CommandError(f"Error migrating: {failure}", EXIT_REMOTE) from None
    invocation.say("Success! All of the keys have been migrated.")
    invocation.say(
        f"{moved['entries']} entries with {moved['bytes']} bytes and {moved['timers']} timers, compared one by one."
    )
    invocation.warn(_AFTERWARDS)
    return EXIT_OK
