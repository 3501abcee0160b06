# SPDX-License-Identifier: EUPL-1.2
"""server: hands over to the server package; what else here needs it takes it from `module_of_server`."""

from __future__ import annotations

from vaultctl.errors import CommandError, install

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from vaultctl.invocation import Invocation


def run(argv: Sequence[str]) -> int:
    """Start the server with `argv` as it is; its exit code."""
    module_of_server("vault.server.process.signals").hold()
    return _main(argv)


def validate_config(invocation: Invocation) -> int:
    """Have the server check configuration files without starting; the exit code is its own."""
    paths = invocation.texts("config")
    if not paths:
        raise CommandError("give a file or a directory with -config")
    return _main(["-test-config", *(f"-config={path}" for path in paths)])


def diagnose(invocation: Invocation) -> int:
    """Have the server look at everything that a start would meet; the exit code is its own."""
    skip = invocation.texts("skip")
    module = module_of_server("vault.server.offline.diagnosis")
    unknown = sorted(set(skip) - set(module.SKIPPED))
    if unknown:
        raise CommandError(f"-skip takes {', '.join(module.SKIPPED)}")
    code: int = module.main(
        invocation.texts("config"), invocation.environ, skip=skip, json=not invocation.tabular
    )
    return code


def _main(argv: Sequence[str]) -> int:
    start: Callable[[Sequence[str]], int] = module_of_server("vault.server.__main__").main
    return start(argv)


def module_of_server(name: str) -> Any:  # noqa: ANN401 - of a package that may be missing, and never imported but here
    """Import a module of the server's. Raises CommandError where the server is not installed."""
    import importlib

    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as err:
        raise CommandError(
            f"the server is not installed here, module {err.name} is missing: {install('server')}"
        ) from None
