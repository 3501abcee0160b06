# SPDX-License-Identifier: EUPL-1.2
"""server: hands over to the server package, the only thing here that imports it."""

from __future__ import annotations

from vaultctl.errors import CommandError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vaultctl.invocation import Invocation


def run(argv: Sequence[str]) -> int:
    """Start the server with `argv` as it is; its exit code."""
    import importlib

    try:
        importlib.import_module("vault.server.signals").hold()
        module = importlib.import_module("vault.server.__main__")
    except ModuleNotFoundError as err:
        raise CommandError(f"the server is not installed here: module {err.name} is missing") from None
    start: Callable[[Sequence[str]], int] = module.main
    return start(argv)


def validate_config(invocation: Invocation) -> int:
    """Have the server check configuration files without starting; the exit code is its own."""
    paths = invocation.texts("config")
    if not paths:
        raise CommandError("give a file or a directory with -config")
    return run(["-test-config", *(f"-config={path}" for path in paths)])


def diagnose(invocation: Invocation) -> int:
    """Have the server look at everything that a start would meet; the exit code is its own."""
    import importlib

    skip = invocation.texts("skip")
    try:
        module = importlib.import_module("vault.server.diagnosis")
    except ModuleNotFoundError as err:
        raise CommandError(f"the server is not installed here: module {err.name} is missing") from None
    unknown = sorted(set(skip) - set(module.SKIPPED))
    if unknown:
        raise CommandError(f"-skip takes {', '.join(module.SKIPPED)}")
    code: int = module.main(
        invocation.texts("config"), invocation.environ, skip=skip, json=not invocation.tabular
    )
    return code
