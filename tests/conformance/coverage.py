# SPDX-License-Identifier: EUPL-1.2
"""``python -m tests.conformance.coverage``: OpenBao's operations against ours and against the recorded scenarios.

Writes ``api-spec/coverage.md`` from three things that are there: ``openbao-operations.txt`` beside it (what the
real binary's OpenAPI document says, written by ``--fetch``), our ``routes.txt``, and the steps of the scenarios.
"""

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.scenario import Scenario, Step
from tests.conformance.scenarios import SCENARIOS

FOLDER = Path(__file__).parents[2] / "api-spec"
OPERATIONS = FOLDER / "openbao-operations.txt"
ROUTES = FOLDER / "routes.txt"
TABLE = FOLDER / "coverage.md"
COVERED, IMPLEMENTED, MISSING, OUT = WORDS = ("covered", "implemented", "missing", "out of scope")

OUT_OF_SCOPE: Mapping[str, str] = {
    r"sys/pprof\b": "profiles of a Go process; this one is none",
    r"sys/raw\b": "reads storage past every policy; off by default there too",
    r"sys/config/reload/": "answers 404 there too: the document lists it for a product that OpenBao is not",
    r"sys/config/ui/": "response headers of a web interface; there is none here",
    r"sys/generate-root$": "answers 405 there too, whatever is asked: only `attempt` and `update` are served",
    r"auth/approle/role/\{role_name\}/bind-secret-id": "answers 404 there too: it is a field of the role alone",
    r"identity/mfa/method/(duo|okta|pingid)/": "needs a service of that company; such methods are answered as absent",
    r"(database|kubernetes|pki|rabbitmq)/": "an engine that this release does not have",
    r"sys/control-group/": "approval by others; what a policy puts under one is refused, as nobody can approve",
    r"sys/workflows/": "requests that the server makes one after the other; not in this release",
    r"sys/internal/inspect/": "shows the insides of a Go process; off by default there too",
}
"""Operations that are left out on purpose, and why."""

_PLACE = re.compile(r"\{(\w+)(?::(\w+))?\}")
_HOLE = "\0"
_BUILT_IN = frozenset({"auth", "cubbyhole", "identity", "sys", "token"})
"""Mounts that are there already: what is mounted there is refused."""
_RESERVED = _BUILT_IN | {"audit", "auth", "root"}
"""Names that no namespace has, though scenarios ask for some."""
_VERBS = {"GET": "GET", "LIST": "GET", "SCAN": "GET", "POST": "POST", "PUT": "POST"}


@dataclass(frozen=True, order=True)
class Operation:
    """One operation of the reference: path below ``/v1/`` and verb, LIST and SCAN counted as GET."""

    path: str
    verb: str

    @property
    def area(self) -> str:
        """The part of the API that it belongs to."""
        parts = self.path.split("/")
        return "/".join(parts[:2]) if parts[0] in ("sys", "auth") else parts[0]

    @property
    def reason(self) -> str:
        """Why it is left out; "" where it is not."""
        return next((why for what, why in OUT_OF_SCOPE.items() if re.match(what, self.path)), "")


def operations() -> list[Operation]:
    """The reference's operations, as they were fetched."""
    lines = OPERATIONS.read_text(encoding="utf-8").splitlines()
    return [Operation(path, verb) for verb, _, path in (line.partition(" ") for line in lines)]


def described(document: Mapping[str, Mapping[str, object]]) -> list[str]:
    """The lines of ``openbao-operations.txt`` for an OpenAPI document's ``paths``."""
    found = {
        f"{verb.upper()} {path.strip('/')}"
        for path, entry in document.items()
        for verb in ("get", "post", "delete", "patch")
        if verb in entry
    }
    return sorted(found, key=lambda line: line.partition(" ")[::-1])


def ours() -> list[tuple[str, re.Pattern[str]]]:
    """Verb and pattern of each of our routes: a place of ours takes places of theirs, never their words."""
    found = []
    for line in ROUTES.read_text(encoding="utf-8").splitlines():
        path, verb = line.split()[:2]
        parts = _PLACE.split(path.removeprefix("/v1/").replace("kv/", "kv1/", 1))
        pattern = re.escape(parts[0])
        for style, literal in zip(parts[2::3], parts[3::3], strict=True):
            place = f"{_HOLE}(?:/{_HOLE})*" if style in ("path", "any") else _HOLE
            pattern += (f"(?:{place})?" if style == "any" else place) + re.escape(literal)
        found.append((_VERBS.get(verb, verb), re.compile(pattern + "/?")))
    return found


class Asked:
    """What the scenarios ask of the reference, whatever their mounts are called."""

    def __init__(self, known: Iterable[Operation]) -> None:
        self._patterns = sorted(
            ((one, _concrete(one.path)) for one in known), key=lambda pair: _generality(pair[0].path)
        )
        self._mounts: dict[str, str] = {}
        self._namespaces: set[str] = set()

    def of(self, scenarios: Iterable[Scenario]) -> Iterator[Operation]:
        """Every operation that a step asks for."""
        area = ""
        for scenario in scenarios:
            if scenario.area != area:
                area, self._mounts = scenario.area, {"secret/": "secret/", "kv1/": "kv1/"}
                self._namespaces = set()
            for step in scenario.steps:
                inside = self._inside(step.path.partition("?")[0])
                self._learn(step, inside)
                path = self._translated(inside)
                verb = _VERBS.get(step.method, step.method)
                matching = [
                    pair for pair in self._patterns if pair[0].verb == verb and pair[1].fullmatch(path)
                ]
                yield from (one for one, pattern in matching if pattern.pattern == matching[0][1].pattern)

    def _inside(self, path: str) -> str:
        """The path as the namespace sees it that it leads into."""
        first, _, rest = path.partition("/")
        return self._inside(rest) if rest and first in self._namespaces else path

    def _learn(self, step: Step, path: str) -> None:
        """Remember under which name a scenario mounts what, and which namespaces it makes."""
        table, _, name = path.partition("/")[2].partition("/")
        if path.startswith("sys/") and table == "namespaces" and "/" not in name and name not in _RESERVED:
            self._namespaces.add(name)
        if (
            not path.startswith("sys/")
            or table not in ("mounts", "auth")
            or not isinstance(step.body, Mapping)
        ):
            return
        kind, options = str(step.body.get("type", "")), step.body.get("options") or {}
        if not kind or name.partition("/")[0] in _BUILT_IN:
            return
        if table == "auth":
            self._mounts[f"auth/{name}/"] = f"auth/{kind}/"
        elif kind.startswith("kv"):
            second = kind == "kv-v2" or (isinstance(options, Mapping) and options.get("version") == "2")
            self._mounts[f"{name}/"] = "secret/" if second else "kv1/"
        else:
            self._mounts[f"{name}/"] = f"{kind}/"

    def _translated(self, path: str) -> str:
        for mount in sorted(self._mounts, key=len, reverse=True):
            if path.startswith(mount):
                return self._mounts[mount] + path.removeprefix(mount)
        return path


def _generality(template: str) -> tuple[int, int]:
    """Sorts what has more words, and then what has more parts, to the front."""
    parts = template.split("/")
    return -sum(not _PLACE.fullmatch(part) for part in parts), -len(parts)


def _concrete(template: str) -> re.Pattern[str]:
    """What a request for `template` looks like: its last place may hold slashes."""
    parts = _PLACE.split(template)
    pattern, count = re.escape(parts[0]), len(parts) // 3
    for number, literal in enumerate(parts[3::3], 1):
        pattern += ("[^?]+" if number == count else "[^/?]+") + re.escape(literal)
    return re.compile(pattern + "/?")


def states() -> dict[Operation, str]:
    """What is to be said of each operation."""
    known = operations()
    routes, asked = ours(), set(Asked(known).of(SCENARIOS))
    found = {}
    for one in known:
        bare = _PLACE.sub(_HOLE, one.path)
        there = any(
            verb == one.verb and (pattern.fullmatch(bare) or pattern.fullmatch(f"{bare}/"))
            for verb, pattern in routes
        )
        word = (COVERED if one in asked else IMPLEMENTED) if there else MISSING
        found[one] = OUT if one.reason else word
    return found


def render() -> str:
    """The whole table."""
    found = states()
    areas = sorted({one.area for one in found})
    lines = [
        "<!-- SPDX-License-Identifier: EUPL-1.2 -->",
        "# Coverage of OpenBao's API",
        "",
        "Written by `python -m tests.conformance.coverage`; do not edit. One operation is one path and verb in the",
        "OpenAPI document of OpenBao 2.7.2 with every built-in engine mounted; LIST and SCAN count as GET.",
        "*Covered*: implemented, and at least one recorded scenario asks both servers for it. *Implemented*: there,",
        "and no scenario asks for it.",
        "",
        "| area | operations | covered | implemented | missing | out of scope |",
        "|---|---|---|---|---|---|",
    ]
    total: Counter[str] = Counter()
    for area in areas:
        counts = Counter(word for one, word in found.items() if one.area == area)
        total += counts
        lines.append(_row(area, counts))
    lines += [_row("**all**", total), "", "## Not covered", ""]
    for area in areas:
        rest = sorted(one for one, word in found.items() if one.area == area and word != COVERED)
        if rest:
            lines += [f"### {area}", ""]
            lines += [f"- `{one.verb} {one.path}`: {_said(one, found[one])}" for one in rest]
            lines.append("")
    return "\n".join(lines)


def _row(area: str, counts: Counter[str]) -> str:
    return f"| {area} | {counts.total()} | " + " | ".join(str(counts[word]) for word in WORDS) + " |"


def _said(one: Operation, word: str) -> str:
    return f"{word}: {one.reason}" if word == OUT else word


def main() -> int:
    """Runs the command; with ``--fetch`` the list of operations is asked of the real binary first."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance.coverage", description=__doc__)
    parser.add_argument("--fetch", action="store_true", help="ask the real binary for its operations")
    if parser.parse_args().fetch:
        from tests.conformance.reference import fetch

        OPERATIONS.write_text("\n".join(described(fetch())) + "\n", encoding="utf-8")
    TABLE.write_text(render(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
