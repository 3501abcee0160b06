# SPDX-License-Identifier: EUPL-1.2
"""Plays scenarios against a pair of servers and reports where the answers differ."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tests.conformance import certifier, service
from tests.conformance.compare import difference, dig, view
from tests.conformance.divergences import ANSWER, comparable, declared
from tests.conformance.moved_keys import wrapped
from tests.conformance.nodes import KINDS
from tests.conformance.normalise import Normaliser
from tests.conformance.scenario import Scenario, Step
from tests.conformance.servers import Server
from tests.conformance.wire import Answer, send

SETTLE_SECONDS = 60.0
SIDES = ("reference", "subject")
_HOLE = re.compile(r"\{([a-z][a-z0-9_]*)\}")


@dataclass
class Outcome:
    """What a scenario showed; `problems` is empty when the subject conforms."""

    scenario: Scenario
    problems: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """The reference's status for each step."""
    answers: list[Mapping[str, object]] = field(default_factory=list)
    """The reference's normalised answer to each step."""
    fractions: list[int] = field(default_factory=list)
    """Digits after the second in the subject's times."""


class Side:
    """One server and what a scenario has captured from it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._captured = {"root": server.root}
        self.normaliser = Normaliser(f"127.0.0.1:{server.port}", *map(str, server.directories))

    def play(self, step: Step) -> Answer:
        """Sends the step and keeps its captures; a capture that is not there becomes a marked text."""
        if step.restart is not None:
            self._server.restart(step.restart)
        target = self._fill(step.path, strict=True)
        headers = {name: self._fill(value, strict=True) for name, value in step.headers.items()}
        if step.token:
            headers["X-Vault-Token"] = self._fill(step.token, strict=True)
        target = target if target.startswith("/") else f"/v1/{target}"
        body = self._body(step.body)
        answer = send(self._server.next_port(), step.method, target, headers, body)
        deadline = time.monotonic() + SETTLE_SECONDS
        while _unsettled(step, answer) and time.monotonic() < deadline:
            time.sleep(0.02)
            answer = send(self._server.next_port(), step.method, target, headers, body)
        for capture in step.save:
            name, path = capture.split(":", 1)
            path, _, part = path.partition("?")
            found = str(dig(answer.json(), path))
            self._captured[name] = parse_qs(urlsplit(found).query).get(part, [""])[0] if part else found
        return answer

    def view(self, answer: Answer, step: Step, *, aside: bool) -> Mapping[str, object]:
        """What is compared of an answer. `aside`: it may hold other values, which must not shift later numbers."""
        return view(answer, step, self.normaliser.copy() if aside else self.normaliser)

    def _body(self, body: object) -> bytes | None:
        if body is None or isinstance(body, bytes):
            return body
        return json.dumps(self._fill_all(body)).encode()

    def _fill_all(self, value: object) -> object:
        if isinstance(value, str):
            return self._fill(value, strict=False)
        if isinstance(value, list):
            return [self._fill_all(item) for item in value]
        if isinstance(value, dict):
            return {self._fill(key, strict=False): self._fill_all(item) for key, item in value.items()}
        return value

    def _fill(self, text: str, *, strict: bool) -> str:
        def found(hole: re.Match[str]) -> str:
            if hole[1] == "service":
                return service.address()
            if hole[1].startswith("signed_"):
                return service.id_token(hole[1].removeprefix("signed_"), self._captured["nonce"])
            if hole[1].startswith("certified_"):
                return certifier.chain(hole[1].removeprefix("certified_"), self._captured["public"])
            if hole[1].startswith("wrapped_"):
                return wrapped(hole[1].removeprefix("wrapped_"), self._captured["wrapping"])
            if strict and hole[1] not in self._captured:
                raise KeyError(f"nothing captured as {hole[1]!r}")
            return self._captured.get(hole[1], hole[0])

        return _HOLE.sub(found, text)


class Pair:
    """Reference and subject; the shared servers start on first use and once."""

    def __init__(self, subject: str, reference: str = "openbao") -> None:
        self._kinds = (reference, subject)
        self._shared: tuple[Server, Server] | None = None
        self._outcomes: dict[str, Outcome] = {}
        self._allowed = declared()
        self._differ = reference != subject

    def outcome(self, scenario: Scenario) -> Outcome:
        """The result of a scenario, played at most once."""
        if scenario.key not in self._outcomes:
            with self._servers(scenario) as servers:
                self._outcomes[scenario.key] = self._compare(scenario, servers)
        return self._outcomes[scenario.key]

    def stop(self) -> None:
        """Ends the shared servers."""
        for server in self._shared or ():
            server.stop()
        self._shared = None

    @contextmanager
    def _servers(self, scenario: Scenario) -> Iterator[tuple[Server, Server]]:
        if not scenario.fresh:
            self._shared = self._shared or self._start(initialised=True)
            yield self._shared
            return
        servers = self._start(
            initialised=False, seal=scenario.seal, lasting=scenario.lasting, listener=scenario.listener
        )
        try:
            yield servers
        finally:
            for server in servers:
                server.stop()

    def _start(
        self, *, initialised: bool, seal: str = "", lasting: bool = False, listener: str = ""
    ) -> tuple[Server, Server]:
        with ExitStack() as undo:
            started: list[Server] = []
            for kind in self._kinds:
                server = KINDS[kind](seal=seal, lasting=lasting, listener=listener)
                undo.callback(server.stop)
                if initialised:
                    server.initialise()
                started.append(server)
            undo.pop_all()
        return started[0], started[1]

    def _compare(self, scenario: Scenario, servers: tuple[Server, Server]) -> Outcome:
        outcome = Outcome(scenario)
        reference, subject = Side(servers[0]), Side(servers[1])
        waited = 0.0
        for number, step in enumerate(scenario.steps, 1):
            began = time.monotonic()
            answer = reference.play(step)
            kind = self._allowed[step.divergence] if step.divergence and self._differ else ""
            expected = reference.view(answer, step, aside=kind == ANSWER)
            tried = subject.play(step)
            found = _without(subject.view(tried, step, aside=kind == ANSWER), step.extra)
            waited = max(waited, time.monotonic() - began)
            outcome.statuses.append(answer.status)
            outcome.answers.append(expected)
            problem = late(step, answer, tried) or judge(step, expected, found, kind, waited)
            if problem:
                said = servers[1].log_tail() if "internal error" in problem else ""
                outcome.problems.append(f"step {number}: {problem}{said}")
        outcome.fractions = subject.normaliser.fractions
        return outcome


def _unsettled(step: Step, answer: Answer) -> bool:
    if step.settle and answer.status != step.settle:
        return True
    texts = (step.settle_on,) if isinstance(step.settle_on, str) else step.settle_on
    return any(text.encode() not in answer.body for text in texts)


def _without(seen: Mapping[str, object], extra: Sequence[str]) -> Mapping[str, object]:
    """`seen` without the keys that only the subject has; one that is missing stays to be noticed."""
    body = seen.get("json")
    if not extra or not isinstance(body, Mapping):
        return seen
    missing = {name: "<missing>" for name in extra if name not in body}
    return {**seen, "json": {name: value for name, value in body.items() if name not in extra} | missing}


def judge(
    step: Step, expected: Mapping[str, object], found: Mapping[str, object], kind: str, waited: float = 0.0
) -> str:
    """The problem with a step, or "": a divergence must really differ, and in no more than its `kind` says.

    `kind` is empty where nothing may differ: the step declares nothing, or a server is compared with its like.
    `waited` is as `difference` has it.
    """
    differs = difference(step, expected, found, waited)
    if not kind:
        return differs
    if not differs:
        return f"{step.title()}\nis equal, though it claims {step.divergence}"
    more = difference(step, comparable(expected, kind), comparable(found, kind), waited)
    return f"{more}\n(more than the {kind} that {step.divergence} declares)" if more else ""


def late(step: Step, *answers: Answer) -> str:
    """The problem with a step whose answer never became what it waits for, be it on both servers alike; or ""."""
    names = [name for name, answer in zip(SIDES, answers, strict=True) if _unsettled(step, answer)]
    return f"{step.title()}\nnever became what it waits for: {' and '.join(names)}" if names else ""
