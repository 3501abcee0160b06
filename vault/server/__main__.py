# SPDX-License-Identifier: EUPL-1.2
"""`vaultctl server` and `python -m vault.server`: one line and exit code 1 for everything an operator can mend."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from vault.framework.clock import Clock, Entropy
from vault.framework.telemetry.log import places
from vault.server.application import Build
from vault.server.config import files as configuration
from vault.server.config import flags
from vault.server.config.flags import Options
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.server.process import signals
from vault.storage.protocol import StorageFailure

if TYPE_CHECKING:
    from vault.server.dev.server import Development

_HEALTH_SECONDS: Final = 4.0
"""How long a listener has to answer one who asks for its health."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the server until it is asked to end; return the process's exit code.

    One that is asked to end before it serves exits as shells say it of one that a signal ended: 143 for SIGTERM.
    """
    return run(sys.argv[1:] if arguments is None else arguments, os.environ, None)


def run(arguments: Sequence[str], environment: Mapping[str, str], build: Build | None) -> int:
    """Run the server with an application made by `build`, the vault unless given."""
    try:
        options = flags.parse(arguments)
        if options.help:
            sys.stdout.write(flags.USAGE)
            return 0
        if options.test_config:
            return _check(options, environment)
        if options.check_health:
            return _answers(options, environment)
        with _uncollected():
            _serve(options, environment, build)
    except (StartFailure, StorageFailure) as failure:
        sys.stderr.write(f"error: {failure}\n")
        return 1
    except Exception as error:  # noqa: BLE001 - its message may hold anything, so only its place is shown
        sys.stderr.write(f"error: unexpected {type(error).__name__} at {places(error)}; please report this\n")
        return 1
    return 0


def _check(options: Options, environment: Mapping[str, str]) -> int:
    """Print what is wrong with the configuration; 0 when it is good, 1 for problems, 2 for warnings only."""
    verdict = configuration.validate(_paths(options, environment))
    problems, exposed = (verdict.problems, ()) if verdict.problems else _tried(options, environment)
    warnings = [*verdict.warnings, *exposed]
    for problem in problems:
        sys.stdout.write(f"error: {problem}\n")
    for warning in warnings:
        sys.stdout.write(f"warning: {warning}\n")
    if not problems and not warnings:
        sys.stdout.write("The configuration is good.\n")
    return 1 if problems else 2 if warnings else 0


def _tried(options: Options, environment: Mapping[str, str]) -> tuple[Sequence[str], Sequence[str]]:
    """Try on this machine what a start would do with a configuration that reads well.

    Return what would fail, or else which private keys the start would warn of.
    """
    from vault.server.http import tls
    from vault.server.offline import preflight

    try:
        config = read(options, environment)
        problems = preflight.problems(config, Clock())
        return problems, () if problems else tls.exposed(config.listeners)
    except StartFailure as failure:
        return (str(failure),), ()


def _answers(options: Options, environment: Mapping[str, str]) -> int:
    """Print which listeners of the configuration do not answer; 0 when all do. Raises `StartFailure`."""
    from vault.server.offline import answering

    silent = answering.silent(read(options, environment).listeners, _HEALTH_SECONDS)
    for problem in silent:
        sys.stdout.write(f"error: {problem}\n")
    return 1 if silent else 0


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector off what is being loaded, all of which stays; the server starts it once it listens."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _serve(options: Options, environment: Mapping[str, str], build: Build | None) -> None:
    held = signals.hold()
    import asyncio

    import uvloop

    from vault.server.process.doors import OwnDoors
    from vault.server.process.notices import Notices
    from vault.server.process.run import Server

    clock, entropy = Clock(), Entropy()
    guest = _development(options, environment, clock) if options.dev else None
    reread = functools.partial(read, options, environment, guest)
    config = reread()
    make = build or _vault()
    notices = Notices(environment)
    if config.workers > 1:
        from vault.server.workers.start import supervise

        try:
            supervise(
                config, reread=reread, build=make, clock=clock, entropy=entropy, signals=held, notices=notices
            )
        finally:
            held.ignore()
        return

    async def serve() -> None:
        server = Server(
            config,
            reread=reread,
            build=make,
            clock=clock,
            entropy=entropy,
            signals=held,
            doors=OwnDoors(notices),
        )
        await server.run(guest)

    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve())
    finally:
        held.ignore()


def _development(options: Options, environment: Mapping[str, str], clock: Clock) -> Development:
    from vault.server.dev import server as dev

    return dev.Development(options, environment, clock=clock)


def _vault() -> Build:
    from vault.server.compose import app

    return app.build


def read(options: Options, environment: Mapping[str, str], guest: Development | None = None) -> Config:
    """Return the configuration: flags go before the environment, the environment before files.

    Development mode, `guest`, brings its own instead of files. Raises `StartFailure`.
    """
    if guest is not None:
        return with_log_flags(guest.config(), options)
    return with_log_flags(configuration.load(_paths(options, environment), environment), options)


def _paths(options: Options, environment: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(configuration.named(options.config, environment))


def with_log_flags(config: Config, options: Options) -> Config:
    """Let the flags that concern the log replace what the configuration says. Raises `StartFailure`."""
    given = {
        name: configuration.checked(name, getattr(options, name), source=f"flag -{name.replace('_', '-')}")
        for name in ("log_level", "log_format", "log_file")
        if getattr(options, name)
    }
    return msgspec.structs.replace(config, **given)


if __name__ == "__main__":
    sys.exit(main())
