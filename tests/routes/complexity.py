# SPDX-License-Identifier: EUPL-1.2
"""What a request may cost: hostile texts at every place of every declared route, in processor time of the server.

A place is a field of the body, a name of the query, a capture of the path, a header, or the body or query as a whole;
and whose request it is: public routes are asked without a token, all routes with a made-up one and while sealed, and
the others with the token of a person whose policy is like that of many. Root asks only what nobody else may.
`python -m tests.routes.complexity` prints how many there are, and the worst figure for each kind of place.
"""

import argparse
import gc
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import quote
from zlib import crc32

import msgspec

from tests.hostile import BODIES, FORMS, HEADERS, TEXTS, VALUES, WORST, shown
from tests.pace import slower
from tests.routes.driver import SWIFT_PAIRS, TARGETS, Application, Target
from tests.routes.furniture import BASES, furnish, log_in, seal
from tests.routes.kinds import load
from vault.storage.memory import MemoryStorage

MEBIBYTE = 1 << 20
STRANGER = 0.1
"""Seconds of processor time that one MiB from somebody without a token may take."""
HOLDER = 0.3
"""The same, of somebody with one."""
HEAD = 60_000
"""Bytes of the largest head that is tried; the server takes 64 KiB."""
GLANCE = 1 << 16
"""Bytes at which a field of a holder's is looked at; only where that takes long is more tried."""
GROWTH = 6.0
"""Times that four times as much may take; 4 is linear, and the rest is for what a machine's caches do."""
_NOISE = 0.004
"""Seconds below which nothing is measured."""
_FORM = "application/x-www-form-urlencoded"
_SAFE = "".join(letter for letter in map(chr, range(0x21, 0x7F)) if letter not in '"<>\\^`{|}')
"""What a target can have as it is."""

_HEADED = {"GET secret/data/{path:any}", "GET sys/health", "GET sys/seal-status", "LIST secret/metadata/{path:any}",
           "POST auth/approle/login", "POST nhi/oauth2/token", "POST secret/data/{path:any}", "POST sys/unseal",
           "GET sys/internal/ui/mounts", "PATCH secret/data/{path:any}", "POST auth/token/renew-self"}  # fmt: skip
"""Routes with which headers are tried: of each way that a head is read."""
_PARAMETER = "eyJrZXkiOiJhIiwidmFsdWUiOiJ4In0"
_BESIDE: Mapping[str, Mapping[str, str]] = {
    name: {
        "x-vault-inline-auth-path": "auth/approle/login",
        "x-vault-inline-auth-operation": "update",
        "x-vault-inline-auth-parameter-b": _PARAMETER,
    }
    for name in HEADERS
    if name.startswith("x-vault-inline-auth")
} | {"x-vault-inconsistent": {"x-vault-index": "e30"}}
"""Headers without which others are not read."""
ENDLESS = {"sys/monitor"}
"""Paths whose answers have no end."""

MADE_UP = "hvs.CAESIJlU02LQZq4Onr1n0HSyz4nX3uhHHVTbCqI2n0A1b2c3Gh4KHGh2cy5ZQk1jR0VmU3Z0T2ZTVWx3"
"""A token as a guess has it."""
STRANGERS = ("stranger", "made-up token", "sealed")
"""Who asks without a token that is one."""
_WITHOUT_FIELDS = {"body", "form", "queries", "path"}
"""Kinds of places that are tried with a made-up token and while sealed: those that are read before fields are."""
_FEW = {"digits", "parents after names", "a string without end", "percent codes in a value"}
"""What is tried of them, where not everything is."""
_SHARES, _HOLDERS_SHARES = 3, 5
"""Of so many patterns a place is tried with one, and one of a holder's or an operator's: each place with others, as most
are read by the same few parsers.
"""
_ENDING = {"revoke-self", "renew-self", "unwrap"}
"""Ends of the paths that take the caller's own token away, or may."""

MEANT: Mapping[tuple[str, str], tuple[float, str]] = {}
"""Places that may take longer: seconds for one MiB, and why."""


@dataclass(frozen=True)
class Place:
    """Where something hostile is put, and by whom: `name` is the field's, capture's or header's."""

    target: Target
    who: str
    kind: str
    name: str = ""

    def __str__(self) -> str:
        return f"{self.target} ({self.who}): {self.kind} {self.name}".strip()

    @property
    def sizes(self) -> tuple[int, int]:
        """Two lengths, one four times the other; a head has to fit into what the server reads of one."""
        return (MEBIBYTE // 4, MEBIBYTE) if self.kind in {"field", "body", "form"} else (HEAD // 4, HEAD)

    @property
    def most(self) -> float:
        """Seconds that the larger of the sizes may take."""
        meant = MEANT.get((str(self.target), self.name))
        rate = meant[0] if meant else STRANGER if self.who in STRANGERS else HOLDER
        return max(rate * self.sizes[1] / MEBIBYTE, 2 * _NOISE)

    @property
    def usual(self) -> bool:
        """Whether who asks is who usually asks for this."""
        return self.who == usual_of(self.target)

    @property
    def full(self) -> bool:
        """Whether it is always tried at length: whatever a stranger's body holds, and all that has no fields yet."""
        return self.kind in {"body", "form"} or (self.kind == "field" and self.who in STRANGERS)

    @property
    def patterns(self) -> Sequence[str]:
        """What can be put there."""
        if self.kind == "field":
            return (*TEXTS, *VALUES)
        return tuple({"body": BODIES, "form": FORMS, "queries": FORMS}.get(self.kind, TEXTS))


@dataclass(frozen=True)
class Asked:
    """One request."""

    method: str
    target: str
    body: bytes
    token: str
    headers: Mapping[str, str]


def usual_of(target: Target) -> str:
    """Who asks for a route: whoever needs least for it."""
    access = target.route.access
    return "stranger" if access.public else "operator" if access.sudo else "holder"


def places(target: Target) -> Iterator[Place]:
    """Every place of one route; those of a sealed server are the last."""
    usual = usual_of(target)
    for who in (usual, *STRANGERS[1:]):
        for kind, name in _kinds(target):
            known = who == usual or (who == "sealed" and target.route.access.when_sealed)
            if known or (kind in _WITHOUT_FIELDS and name != "unknown"):
                yield Place(target, who, kind, name)


def _kinds(target: Target) -> Iterator[tuple[str, str]]:
    """Every kind of place of one route, and the names of those that have one."""
    inner = "field" if target.bodied else "query"
    for name, parameter in target.route.parameters.items():
        yield "path" if parameter.in_path else inner, name
    yield inner, "unknown"
    if target.bodied:
        yield "body", ""
        yield "form", ""
    else:
        yield "queries", ""
    if str(target) in _HEADED:
        for name in HEADERS:
            yield "header", name


def request(place: Place, pattern: str, length: int, holder: str) -> Asked:
    """What to ask in order to put a pattern of a length there; `holder` is the token of whoever has one."""
    target, base = place.target, dict(BASES.get(place.target.route.template, {}))
    path, body, headers = target.path(), b"", {}
    if place.kind == "field":
        value = VALUES[pattern](length) if pattern in VALUES else TEXTS[pattern](length)
        body = _encoded({**base, place.name: value})
    elif place.kind == "body":
        body = BODIES[pattern](length)
    elif place.kind == "form":
        body, headers = FORMS[pattern](length), {"content-type": _FORM}
    elif place.kind == "queries":
        path += "?" + FORMS[pattern](length).decode()
    elif place.kind == "query":
        path += f"?{place.name}={_fitting(pattern, length, '&#')}"
    elif place.kind == "path":
        path = target.path(**{place.name: _fitting(pattern, length, "?#")})
    else:
        headers = {**_BESIDE.get(place.name, {}), place.name: _shown(pattern, length)}
    if not body and target.bodied:
        body = json.dumps(base).encode()
    token = {"operator": "root", "holder": holder, "made-up token": MADE_UP}.get(place.who, "")
    if place.kind == "header" and place.name in {"x-vault-token", "authorization", "dpop"}:
        token = ""
    return Asked(target.method, path, body, token, headers)


def _encoded(value: object) -> bytes:
    """A value as JSON, half surrogates too."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _fitting(pattern: str, length: int, more: str) -> str:
    """A text as a target can have it, coded where it has to be or is in `more`, and no longer than wanted."""
    return _coded(pattern, -(-length // GLANCE) * GLANCE, more)[:length].rstrip("%")


@cache
def _coded(pattern: str, length: int, more: str) -> str:
    """The same of a round length, as coding takes longer than what is measured."""
    text = TEXTS[pattern](length)[:length].encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    safe = "".join(letter for letter in _SAFE if letter not in more)
    return quote(text, safe=safe)


@cache
def _shown(pattern: str, length: int) -> str:
    """A text as a header can have it."""
    return shown(TEXTS[pattern](length))[:length].strip() or "x"


@dataclass
class Worst:
    """Of one kind of place: how many there were, how much was asked, and what took most seconds for one MiB."""

    places: int = 0
    requests: int = 0
    seconds: float = 0.0
    where: str = ""


@dataclass
class Account:
    """What was found: the worst of each kind of place, and what took too long."""

    worst: dict[str, Worst] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def add(self, other: "Account") -> None:
        """Count what another has counted."""
        for kind, theirs in other.worst.items():
            ours = self.worst.setdefault(kind, Worst())
            ours.places += theirs.places
            ours.requests += theirs.requests
            if theirs.seconds > ours.seconds:
                ours.seconds, ours.where = theirs.seconds, theirs.where
        self.faults += other.faults


@cache
def furnished() -> Application:
    """An application that others begin as copies of; in memory, as it can be copied then once it is closed."""
    application = Application(MemoryStorage(), engines=SWIFT_PAIRS)
    furnish(application)
    application.close()
    return application


@cache
def holders_token() -> str:
    """A token of whoever is no operator, in `furnished` and so in each copy: a password takes longer than most requests."""
    with Application(like=furnished(), engines=SWIFT_PAIRS) as application:
        token = log_in(application)
        application.run(load(application.storage, furnished().storage))
    return token


class Trial:
    """One route's places, on an application of its own."""

    def __init__(self, target: Target, *, whole: bool) -> None:
        """`whole` tries every pattern at one MiB; else few patterns, and fields of holders at a glance where that is quick."""
        self._target = target
        self._whole = whole
        self._asked = 0
        self.account = Account()

    def run(self) -> Account:
        """Try every place."""
        self._holder = holders_token()
        with Application(like=furnished(), engines=SWIFT_PAIRS) as application:
            self._application = application
            for place in places(self._target):
                if place.who == "sealed":
                    seal(application)
                self._try(place)
        return self.account

    def _try(self, place: Place) -> None:
        worst = self.account.worst.setdefault(f"{place.kind}, {place.who}", Worst())
        worst.places += 1
        for pattern in self._patterns(place):
            seconds = self._rate(place, pattern, worst)
            if seconds > worst.seconds:
                worst.seconds, worst.where = seconds, f"{place} = {pattern}"

    def _patterns(self, place: Place) -> Sequence[str]:
        """What is tried at a place: fewer where what reads it is the same for all routes."""
        own = place.usual and place.name != "unknown"
        if own and self._whole:
            return place.patterns
        some = WORST if own or self._whole else _FEW
        found = [pattern for pattern in place.patterns if pattern in some]
        if self._whole:
            return found
        shares = _SHARES if place.who in STRANGERS else _HOLDERS_SHARES
        return found[crc32(str(place).encode()) % min(shares, len(found)) :: shares]

    def _rate(self, place: Place, pattern: str, worst: Worst) -> float:
        """Return how many seconds a MiB takes: of what is sent in full, or of a part where even that takes little."""
        quarter, size = place.sizes
        brief = not place.full or not (self._whole or place.usual)
        part = quarter if self._whole else min(GLANCE, size)
        if self._whole or not brief:
            glance = min(GLANCE // 4, quarter)
            peek = self._least(place, pattern, glance, place.most, worst)
            if _exceeds(peek, place.most):
                return self._fault(place, pattern, glance, peek, f"more than {place.most:.3f} s")
        if brief:
            seconds = self._least(place, pattern, part, place.most, worst)
            if _exceeds(seconds, place.most):
                return self._fault(place, pattern, part, seconds, f"more than {place.most:.3f} s")
            times = size / part
            if self._whole:  # a part tells enough where even its square would be little
                enough = seconds * times**2 <= place.most
            else:
                enough = seconds * times <= max(place.most / 3, _NOISE)
            if enough:
                return seconds * MEBIBYTE / part
        seconds = self._least(place, pattern, size, place.most, worst)
        if _exceeds(seconds, place.most):
            return self._fault(place, pattern, size, seconds, f"more than {place.most:.3f} s")
        if seconds > _NOISE:
            linear = _NOISE + GROWTH * self._least(place, pattern, quarter, place.most, worst)
            if seconds > linear:  # perhaps for what else the machine does
                seconds = self._least(place, pattern, size, linear, worst)
            if seconds > linear:  # which was measured here
                return self._fault(place, pattern, size, seconds, "no longer linear")
        return seconds * MEBIBYTE / size

    def _fault(self, place: Place, pattern: str, size: int, seconds: float, why: str) -> float:
        self.account.faults.append(f"{place} = {pattern}: {seconds:.3f} s for {size} bytes, {why}")
        return seconds * MEBIBYTE / size

    def _least(self, place: Place, pattern: str, size: int, fair: float, worst: Worst) -> float:
        """Return how long it takes: the least of three where that is more than fair, as other work only adds.

        Of two where it takes a second: the first may have made what is made once, as a key.
        """
        seconds, tries = self._cost(place, pattern, size), 1
        while fair < seconds and tries < (3 if seconds < 1 else 2):
            seconds, tries = min(seconds, self._cost(place, pattern, size)), tries + 1
        worst.requests += tries
        return seconds

    def _cost(self, place: Place, pattern: str, size: int) -> float:
        """Seconds of processor time that a request takes beyond a short one."""
        self._asked += 1
        if self._target.route.template.rpartition("/")[2] in _ENDING and place.who == "holder":
            self._stay_logged_in()
        length = size - self._asked % 100 * 40  # what was asked before may be remembered
        asked = request(place, pattern, length, self._holder)
        gc.disable()
        try:
            began = time.process_time()
            self._application.request(
                asked.method, asked.target, asked.body or None, token=asked.token, headers=asked.headers
            )
            return time.process_time() - began
        finally:
            gc.enable()
            if place.who != "sealed":
                self._application.reopen()

    def _stay_logged_in(self) -> None:
        """Log in anew where the request before has ended the token: a password takes longer than most of them."""
        known = self._application.request("GET", "/v1/auth/token/lookup-self", token=self._holder)
        if known.status != 200:
            self._holder = log_in(self._application)


def _exceeds(seconds: float, most: float) -> bool:
    """Whether it is more than it may be, on a machine that is as slow as this one is at present."""
    return seconds > most and seconds > most * slower()


def report(account: Account) -> str:
    """A table of the kinds of places, and what took too long."""
    lines = [f"{'kind of place':24} {'places':>7} {'requests':>9} {'worst, s/MiB':>13}  where"]
    for kind, worst in sorted(account.worst.items()):
        lines.append(f"{kind:24} {worst.places:7} {worst.requests:9} {worst.seconds:13.3f}  {worst.where}")
    whole = Worst(
        sum(w.places for w in account.worst.values()), sum(w.requests for w in account.worst.values())
    )
    lines.append(f"{'all':24} {whole.places:7} {whole.requests:9}")
    lines.append(
        f"patterns: {len(TEXTS)} texts, {len(VALUES)} values, {len(BODIES)} bodies, {len(FORMS)} forms"
    )
    return "\n".join([*lines, *account.faults])


def tried() -> list[Target]:
    """The routes that are tried: all whose answers end."""
    return [target for target in TARGETS if f"{target.mount}{target.route.template}" not in ENDLESS]


def main() -> int:
    """Print the report; return 1 where something takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--whole", action="store_true", help="every pattern at 1 MiB, which takes many minutes"
    )
    parser.add_argument("--only", default="", help="only routes with this in their names")
    given = parser.parse_args()
    account = Account()
    for target in tried():
        if given.only in str(target):
            sys.stderr.write(f"{target}\n")
            found = Trial(target, whole=given.whole).run()
            account.add(found)
            for fault in found.faults:
                print(fault, flush=True)  # noqa: T201 -- the report is what it is for
    print(report(account))  # noqa: T201 -- the report is what it is for
    return 1 if account.faults else 0


if __name__ == "__main__":
    sys.exit(main())
