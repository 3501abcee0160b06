# SPDX-License-Identifier: Apache-2.0
"""What a run knows: its callers, its place on the server, its journal, and what the server told of itself."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from esa_conformance.binding.client import Client
from esa_conformance.binding.replies import Reply
from esa_conformance.errors import ConformanceError
from esa_conformance.evidence.files import Artefacts
from esa_conformance.run.journal import Journal, Kind
from esa_conformance.run.names import run_of
from esa_conformance.wire.transport import Transport


@dataclass
class State:
    """One run. `callers` are by the names of the manifest's credentials; `told` are features that the server tells."""

    run: str
    transport: Transport
    nobody: Client
    callers: dict[str, Client]
    canary: str
    told: frozenset[str]
    discovery: Mapping[str, Any] | None
    seal_key: str | None = field(default=None, repr=False)
    openssl: str | None = None
    artefacts: Artefacts = field(default_factory=Artefacts)
    settle_s: float = 20.0
    """Seconds until what was answered can be found in a log."""
    namespace: str = ""
    journal: Journal | None = None
    current: str = ""
    """The id of the test that runs."""
    wrapping: dict[int, str] = field(default_factory=dict, repr=False)
    """What gives the wrapped answers of this run, by their numbers in the journal: in memory alone."""
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def has(self, need: str) -> bool:
        """Whether the manifest gives a credential, hook or artefact, or the run can make it."""
        given = {
            "seal_key": self.seal_key is not None,
            "openssl": self.openssl is not None,
            "records": bool(self.artefacts.records),
            "checkpoints": bool(self.artefacts.checkpoints),
            "tls": self.transport.network == "tls",
        }
        if need in given:
            return given[need]
        return need in self.callers or (need == "denied" and "admin" in self.callers)

    def number(self) -> int:
        """A number that this run has not used."""
        with self._lock:
            return next(self._numbers)

    def new_name(self) -> str:
        """A name that nothing has."""
        return f"esa-{self.run}-{self.number()}"

    def name(
        self, kind: Kind, *, suffix: str = "", parent: str = "", mount: str = "", namespace: str | None = None
    ) -> tuple[str, int]:
        """A new name, noted in the journal, and its number there.

        A name within `parent` has it before it. `namespace` is where it will be, by default that of the run.
        """
        if self.journal is None:
            raise ConformanceError("a read-only test wants to make something")
        made = f"{parent}{self.new_name()}{suffix}"
        number = self.journal.will_make(
            kind, made, namespace=self.namespace if namespace is None else namespace, mount=mount
        )
        return made, number

    def note(self, kind: Kind, path: str, *, mount: str = "") -> int:
        """Note what is called after a path whose name is of this run, such as a secret in a folder; its number."""
        if self.journal is None or run_of(path) != self.run:
            raise ConformanceError("a test wants to write where it must not")
        return self.journal.will_make(kind, path, namespace=self.namespace, mount=mount)

    def made(self, number: int, accessor: object) -> None:
        """Note the accessor of a credential that was made; anything else is none."""
        if self.journal is not None and isinstance(accessor, str) and accessor:
            self.journal.made_token(number, accessor)

    def wrapped(self, number: int, reply: Reply) -> None:
        """Note what came of asking for a wrapped answer: without what gives it none was made."""
        if not reply.wrapping_token:
            self.removed(number)
            return
        self.wrapping[number] = reply.wrapping_token
        self.made(number, reply.answer.member("wrap_info", "accessor"))

    def removed(self, number: int) -> None:
        """Note that something is gone again."""
        if self.journal is not None:
            self.journal.removed(number)
