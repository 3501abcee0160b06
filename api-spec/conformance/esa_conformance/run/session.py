# SPDX-License-Identifier: Apache-2.0
"""One whole run: identify, check, make a place, run the tests, remove what was made."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from esa_conformance.binding.client import Client
from esa_conformance.decoding import shown
from esa_conformance.errors import ConformanceError, Interrupted, SafetyStop
from esa_conformance.manifest import CREDENTIALS, Manifest
from esa_conformance.run.cleanup import Cleaner
from esa_conformance.run.declare import Test
from esa_conformance.run.ground import open_namespace
from esa_conformance.run.interlock import Identity, check, identify
from esa_conformance.run.interrupts import Interrupts
from esa_conformance.run.journal import Entry, Journal
from esa_conformance.run.names import new_run
from esa_conformance.run.outcomes import Result
from esa_conformance.run.runner import Runner
from esa_conformance.run.state import State
from esa_conformance.wire.answer import Answer
from esa_conformance.wire.transport import Request, Transport

PLACE, CLEANUP = "(place of the run)", "(cleanup)"
"""What requests that are of no test are noted by."""


@dataclass(frozen=True)
class Options:
    """What the command line says of a run; `journal` is the file to write."""

    read_only: bool
    journal: Path
    canary: str = field(default_factory=lambda: f"esa-canary-{secrets.token_hex(10)}", repr=False)
    """What every secret of the run begins with."""
    interrupts: Interrupts = field(default_factory=Interrupts)
    """Notes a signal, after which nothing is asked but what removal needs; one that comes then ends that too."""
    observer: Callable[[str, Request, Answer, float], None] | None = None
    """Told of each exchange: id of the test, request, answer, seconds."""


@dataclass(frozen=True)
class Finished:
    """What a run has found: `left` could not be removed, `stopped` says why nothing more was asked.

    After a stop for safety nothing was removed. One that was `interrupted` has removed what it could.
    """

    run: str
    started: float
    seconds: float
    identity: Identity
    told: frozenset[str]
    results: Sequence[Result]
    created: int
    left: Sequence[Entry]
    canary: str
    network: str
    stopped: str
    interrupted: bool = False


def connect(manifest: Manifest, *, read_only: bool) -> Client:
    """A caller without credential at the manifest's server."""
    limits = manifest.limits
    transport = Transport(
        manifest.address,
        ca_file=manifest.ca_file,
        request_s=limits.request_s,
        rps=limits.rps,
        read_only=read_only,
    )
    return Client(transport, manifest.compat)


def told_features(manifest: Manifest, identity: Identity) -> frozenset[str]:
    """Features that the manifest lists or, where it lists none, that discovery tells."""
    if manifest.features is not None:
        return frozenset(manifest.features)
    if identity.discovery is None:
        return frozenset()
    features = identity.discovery.get("features")
    names = features if isinstance(features, list) else []
    return frozenset({"discovery", *map(shown, names)})


def run(
    manifest: Manifest,
    tests: Sequence[Test],
    options: Options,
    *,
    show: Callable[[str], None],
    told: Callable[[Result], None],
) -> Finished:
    """Run tests. Raises SafetyStop and other ConformanceErrors before the first test; later ones end it early."""
    started, begun = time.time(), time.monotonic()
    allow = frozenset({"read-only"}) if options.read_only else manifest.allow
    writes = allow != {"read-only"}
    nobody = connect(manifest, read_only=not writes)
    nobody.transport.ended = lambda: options.interrupts.came
    identity = identify(nobody)
    for line in identity.lines():
        show(line)
    check(manifest, identity, writes=writes)
    callers = {
        name: nobody.using(manifest.credentials[name]) for name in CREDENTIALS if name in manifest.credentials
    }
    name = new_run(started, manifest.ttl_s)
    state = State(
        name, nobody.transport, nobody, dict(callers), options.canary,
        told_features(manifest, identity), identity.discovery, manifest.seal_key,
        manifest.openssl, manifest.artefacts, manifest.limits.settle_s,
    )  # fmt: skip
    observer = options.observer
    if observer is not None:
        nobody.transport.observer = lambda *exchange: observer(state.current, *exchange)
    results: list[Result] = []
    stopped, interrupted = "", False
    with _journal(options, state, manifest, writes=writes):
        try:
            if writes and manifest.mode == "namespace":
                state.current = PLACE
                open_namespace(state)
            for result in Runner(state, manifest, allow).run(tests):
                results.append(result)
                told(result)
        except SafetyStop as stop:
            stopped, interrupted = str(stop), isinstance(stop, Interrupted)
        options.interrupts.came = False
        state.current = CLEANUP
        left = (
            clean(state, callers)
            if interrupted or not stopped
            else (state.journal.left() if state.journal else [])
        )
        created = state.journal.count if state.journal else 0
    return Finished(
        name, started, time.monotonic() - begun, identity, state.told, results, created, left, state.canary,
        nobody.transport.network, stopped, interrupted,
    )  # fmt: skip


@contextmanager
def _journal(options: Options, state: State, manifest: Manifest, *, writes: bool) -> Iterator[None]:
    if writes:
        state.journal = Journal(options.journal, run=state.run, address=manifest.address)
    try:
        yield
    finally:
        if state.journal is not None:
            state.journal.close()


def clean(state: State, callers: dict[str, Client]) -> list[Entry]:
    """Remove all that the run made; what is left. A server that does not answer leaves all."""
    if state.journal is None:
        return []
    kv = state.callers.get("kv", callers.get("kv", state.nobody))
    cleaner = Cleaner(
        state.run, state.nobody, {**callers, "kv": kv}, seal_key=state.seal_key, wrapping=state.wrapping
    )
    try:
        return cleaner.clean(state.journal.left(), state.journal)
    except ConformanceError:
        return state.journal.left()
