# SPDX-License-Identifier: EUPL-1.2
"""OpenBao and ours side by side: what is played at both, and where the answers differ."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from tests.conformance.compare import difference, view
from tests.conformance.divergences import ANSWER, comparable, declared
from tests.conformance.normalise import Normaliser
from tests.conformance.servers import CoffreServer, OpenBaoServer, Server
from tests.integration.terraform.calls import Call, Where
from tests.integration.terraform.stories import Played

_MORE = "unsafe_allow_api_audit_creation = true\n"
"""Without it neither server makes an audit device by its API."""


_MADE = {
    "client_id": re.compile(r"[A-Za-z0-9]{26}|[A-Za-z0-9]{32}"),
    "client_secret": re.compile(r"hvo_secret_[A-Za-z0-9]{64}"),
}


class _Reference(OpenBaoServer):
    def _config(self) -> str:
        return super()._config() + _MORE


class _Subject(CoffreServer):
    def _config(self) -> str:
        return super()._config() + _MORE


@dataclass
class Outcome:
    """What was played at both: all that went otherwise, and how many calls were compared."""

    problems: list[str] = field(default_factory=list)
    compared: int = 0


@dataclass(frozen=True)
class Sides:
    """The reference and the subject."""

    reference: Server
    subject: Server

    def play(self, what: Callable[[Where], Played], divergences: Mapping[str, str] | None = None) -> Outcome:
        """Play at both, and compare every answer. `divergences` are those that answers may have, by the end of the path."""
        outcome = Outcome()
        plays = [what(server) for server in (self.reference, self.subject)]
        for server, played in zip((self.reference, self.subject), plays, strict=True):
            outcome.problems += [f"{server.kind}: {problem}" for problem in played.problems]
        differ, outcome.compared = self._compare(plays[0].said, plays[1].said, divergences or {})
        outcome.problems += differ
        return outcome

    def _compare(
        self, expected: Sequence[Call], found: Sequence[Call], divergences: Mapping[str, str]
    ) -> tuple[list[str], int]:
        known = [_normaliser(server) for server in (self.reference, self.subject)]
        problems, number = [], 0
        for number, (one, other) in enumerate(zip(expected, found, strict=False), 1):
            left = view(one.answer, one.step, known[0])
            right = view(other.answer, other.step, known[1])
            if known[0].text(one.step.title()) != known[1].text(other.step.title()):
                problems.append(
                    f"call {number}: {one.step.title()} at one, {other.step.title()} at the other"
                )
                return problems, number
            differs = difference(one.step, left, right)
            allowed = differs and _declared(one, left, right, divergences)
            if differs and not allowed:
                problems.append(f"call {number}: {differs}")
        if len(expected) != len(found):
            problems.append(f"{len(expected)} calls at one, {len(found)} at the other")
        return problems, number


def _declared(
    call: Call, left: Mapping[str, object], right: Mapping[str, object], divergences: Mapping[str, str]
) -> bool:
    """Whether a divergence lets them differ so; whatever it lets differ, the status is one."""
    kinds = [declared()[name] for end, name in divergences.items() if call.step.path.endswith(end)]
    return any(
        left["status"] == right["status"]
        if kind == ANSWER
        else not difference(call.step, comparable(left, kind), comparable(right, kind))
        for kind in kinds
    )


class _Plain(Normaliser):
    """A normaliser for which a time is a time: how many differ is not what a client reads. Made ids and secrets of OpenID
    Connect are random texts.
    """

    def _string(self, value: str, key: str) -> str:
        made = _MADE.get(key)
        return f"<{key}>" if made and made.fullmatch(value) else super()._string(value, key)

    def _mapping(self, value: Mapping[str, object]) -> dict[str, object]:
        return super()._mapping(dict(sorted(value.items())))

    def _name(self, kind: str, value: str) -> str:
        return f"<{kind}>" if kind.startswith("time") else super()._name(kind, value)


def _normaliser(server: Server) -> Normaliser:
    return _Plain(f"127.0.0.1:{server.port}", *map(str, server.directories))


@contextmanager
def both() -> Iterator[Sides]:
    """Start both, initialised."""
    with ExitStack() as undo:
        servers: list[Server] = []
        for kind in (_Reference, _Subject):
            server = kind()
            undo.callback(server.stop)
            server.initialise()
            servers.append(server)
        yield Sides(servers[0], servers[1])
