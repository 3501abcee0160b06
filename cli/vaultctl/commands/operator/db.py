# SPDX-License-Identifier: EUPL-1.2
"""operator db init, check, migrate: a vault's tables in PostgreSQL."""

from __future__ import annotations

from vaultctl.commands.server import module_of_server
from vaultctl.errors import EXIT_OK, CommandError
from vaultctl.text.output import key_values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vaultctl.invocation import Invocation


def init(invocation: Invocation) -> int:
    """Make the tables, and let the role of the nodes use them."""
    module = module_of_server("vault.server.offline.databases")
    return _done(invocation, module.init, module.Failures)


def migrate(invocation: Invocation) -> int:
    """Bring the tables up to this release."""
    module = module_of_server("vault.server.offline.databases")
    return _done(invocation, module.migrate, module.Failures)


def check(invocation: Invocation) -> int:
    """Examine the database as a node would use it; the exit code says how bad the worst is."""
    module = module_of_server("vault.server.offline.databases")
    return show_findings(
        invocation, lambda: module.check(invocation.texts("config"), invocation.environ), module.Failures
    )


def show_findings(
    invocation: Invocation,
    look: Callable[[], tuple[list[dict[str, str]], int]],
    failures: tuple[type[Exception], ...],
) -> int:
    """Show what was looked at and how it is; return the exit code that goes with it."""
    try:
        found, code = look()
    except failures as failure:
        raise CommandError(str(failure)) from None
    if invocation.tabular:
        for one in found:
            invocation.say(f"[ {one['status']} ] {one['name']}: {one['message']}")
    else:
        invocation.print_value(found)
    return code


def _done(
    invocation: Invocation,
    work: Callable[..., Mapping[str, object]],
    failures: tuple[type[Exception], ...],
) -> int:
    try:
        done = work(
            invocation.texts("config"),
            invocation.environ,
            owner=invocation.text("owner"),
            password_file=invocation.text("owner-password-file"),
        )
    except failures as failure:
        raise CommandError(str(failure)) from None
    if not invocation.tabular:
        return invocation.print_value(done)
    invocation.say(key_values([(name, str(value)) for name, value in done.items()]))
    return EXIT_OK
