# SPDX-License-Identifier: EUPL-1.2
"""operator upgrade-check: what the program that is asked would change of a database, before it is started on it."""

from __future__ import annotations

from vaultctl.commands.operator.db import show_findings
from vaultctl.commands.server import module_of_server

TYPE_CHECKING = False
if TYPE_CHECKING:
    from vaultctl.invocation import Invocation


def check(invocation: Invocation) -> int:
    """Show what an upgrade to this program's release would change, and whether servers may be replaced one by one."""
    module = module_of_server("vault.server.upgrade")
    given, paths, environ = invocation.text("database"), invocation.texts("config"), invocation.environ
    return show_findings(invocation, lambda: module.check(given, paths, environ), module.Failures)
