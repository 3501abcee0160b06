# SPDX-License-Identifier: EUPL-1.2
"""The process that programs run in: it has no key, little memory and no files, and ends with whom it works for.

It answers each question that comes through its standard input, in turn: `Question` and `Answer` in
`nhi.auth.jwt.cel.protocol`. The library bounds how often a program goes round; how long and large what it makes of a
claim may become it does not bound, so the one who asks ends this process when it takes too long. What programs leave
behind in it (the library keeps some of what it compiled) may not be in another one's way: so it ends itself in time.
"""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from cel_expr_python import cel
from cel_expr_python.ext.ext_encoders import ExtEncoders
from cel_expr_python.ext.ext_math import ExtMath
from cel_expr_python.ext.ext_optional import ExtOptional
from cel_expr_python.ext.ext_strings import ExtStrings
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from google.protobuf.wrappers_pb2 import UInt64Value

from nhi.auth.jwt.cel import protocol
from nhi.auth.jwt.cel.messages import pool
from nhi.auth.jwt.cel.protocol import Answer, Json, ProgramAuth, Question

Kept = Any
"""A value or a message as the library has it; its fields are known only at run time."""
MEMORY: Final = 256 << 20
"""Bytes of address space: of it the library and the interpreter take 60 MiB."""
ENOUGH = MEMORY // 2
"""Bytes of it after which, once the question is answered, another process is to go on."""
_FILES: Final = 16
_EVALUATED: Final = "CEL auth program failed: failed to evaluate "
_MIXED: Final = re.compile(r"found no matching overload for '_\?_:_' applied to '\((?:bool|dyn), ")
"""The library wants both ends of a choice to be of one type. OpenBao takes a token on one and a text on the other."""
_PROBLEM: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): ([^\n]*)")
_REASONS: Final = {
    "Key not found": "no such key",
    "No matching overloads": "no such overload",
    "No value with name": "no such attribute",
    "divide by zero": "division by zero",
    "Iteration budget exceeded": "it goes round too often",
    "Index error": "index out of bounds",
    "overflow": "integer overflow",
    "type conversion error": "type conversion error",
}
_GO: Final = {
    "BOOL": "types.Bool",
    "INT": "types.Int",
    "UINT": "types.Uint",
    "DOUBLE": "types.Double",
    "NULL": "types.Null",
    "BYTES": "types.Bytes",
    "TIMESTAMP": "types.Timestamp",
    "DURATION": "types.Duration",
}
"""Types of results as OpenBao calls them."""


class ProgramRefusal(Exception):
    """A program is wrong or fails; the text quotes nothing of it."""


_pool = pool()
_extensions = [ExtMath(), ExtStrings(), ExtEncoders(), ExtOptional()]


@lru_cache(maxsize=64)
def _environment(names: tuple[str, ...]) -> cel.Env:
    known = {"claims": cel.Type.Map(cel.Type.STRING, cel.Type.DYN), "now": cel.Type.TIMESTAMP}
    variables = {**dict.fromkeys(names, cel.Type.DYN), **known}
    return cel.NewEnv(_pool, variables=variables, extensions=_extensions)


@lru_cache(maxsize=256)
def _compiled(names: tuple[str, ...], text: str, *, checked: bool) -> cel.Expression:
    """Return an expression. Raises `ProgramRefusal`; where it is `checked`, also for a name or type that does not fit."""
    environment = _environment(names)
    try:
        parsed = environment.compile(text, disable_check=True)
    except RuntimeError as error:
        raise ProgramRefusal(f"invalid CEL syntax{_where(str(error))}") from None
    if not checked:
        return parsed
    try:
        return environment.compile(text)
    except RuntimeError as error:
        wrong = [found for found in _PROBLEM.finditer(str(error)) if not _MIXED.match(found[3])]
        if wrong or not _PROBLEM.search(str(error)):
            raise ProgramRefusal(_where(wrong[0][0] if wrong else "")) from None
        return parsed


def _where(text: str) -> str:
    """Say what is wrong and where, without the words of the program that the library quotes."""
    found = _PROBLEM.search(text)
    if found is None:
        return ": it is too long or nested too deep"
    what = re.split(r"['`\"]| of field| to $", found[3])[0].strip(" :.")
    return f" at {found[1]}:{found[2]}: {what.removesuffix(' to').removesuffix(' for')}"


def check(question: Question) -> None:
    """Make sure that a program can be run. Raises `ProgramRefusal`."""
    for number, (name, text) in enumerate(question.variables):
        try:
            _compiled((), text, checked=False)
        except ProgramRefusal as refusal:
            raise ProgramRefusal(
                f"failed to validate variables: variable[{number}].{name}: failed to validate: {refusal}"
            ) from None
    names = tuple(name for name, _ in question.variables)
    if {"claims", "now"} & {*names}:
        raise ProgramRefusal("error type-checking CEL MainProgram: overlapping identifier")
    try:
        _compiled((), question.expression, checked=False)
    except ProgramRefusal as refusal:
        raise ProgramRefusal(str(refusal).replace("syntax", "syntax for main expression", 1)) from None
    try:
        _compiled(names, question.expression, checked=True)
    except ProgramRefusal as refusal:
        raise ProgramRefusal(f"error type-checking CEL MainProgram{refusal}") from None


def run(question: Question) -> Answer:
    """Run a program. Raises `ProgramRefusal`."""
    moment = datetime.fromtimestamp(question.now // 1_000_000_000, UTC)
    moment += timedelta(microseconds=question.now % 1_000_000_000 // 1000)
    data: dict[str, Any] = {"claims": _numbers(question.claims), "now": moment}
    names = tuple(name for name, _ in question.variables)
    for number, (name, text) in enumerate(question.variables):
        try:
            data[name] = _kept(_value(names, text, data))
        except ProgramRefusal as refusal:
            raise ProgramRefusal(
                f"{_EVALUATED}variables: variable[{number}].{name}: failed to evaluate expression: {refusal}"
            ) from None
    try:
        return _answer(_value(names, question.expression, data, checked=True))
    except ProgramRefusal as refusal:
        raise ProgramRefusal(f"{_EVALUATED}expression: {refusal}") from None


def _numbers(claim: Json) -> Json:
    """Return a claim with every number as programs see it in OpenBao. JSON has one kind of number only."""
    if isinstance(claim, int) and not isinstance(claim, bool):
        return float(claim)
    if isinstance(claim, list):
        return [_numbers(item) for item in claim]
    if isinstance(claim, dict):
        return {name: _numbers(value) for name, value in claim.items()}
    return claim


def _value(
    names: tuple[str, ...], text: str, data: Mapping[str, Any], *, checked: bool = False
) -> cel.Value | None:
    """Return what an expression comes to, None for an optional value. Raises `ProgramRefusal`."""
    try:
        found = _compiled(names, text, checked=checked).eval(data=data)
    except RuntimeError as error:
        raise ProgramRefusal(_reason(str(error))) from None
    if found.type().name() != "ERROR":
        return found
    try:
        failure = str(found.value())
    except TypeError:  # the library calls an optional value an error, and cannot show it
        return None
    raise ProgramRefusal(_reason(failure))


def _reason(text: str) -> str:
    return next((known for sign, known in _REASONS.items() if sign in text), "it failed")


def _kept(value: cel.Value | None) -> Kept:
    """Return the value of a variable as what a later expression sees again, with its type. Raises `ProgramRefusal`."""
    if value is None:
        raise ProgramRefusal("a variable cannot hold an optional value")
    kind, found = value.type().name(), value.value()
    if kind == "UINT":
        return UInt64Value(value=found)
    if kind == "TIMESTAMP":
        stamp = Timestamp()
        stamp.FromDatetime(found)
        return stamp
    if kind == "DURATION":
        span = Duration()
        span.FromTimedelta(found)
        return span
    if kind == "TYPE":
        raise ProgramRefusal("a variable cannot hold a type")
    if isinstance(found, list):
        return [_kept(item) for item in found]
    if isinstance(found, dict):
        return {key: _kept(item) for key, item in found.items()}
    return found


def _answer(value: cel.Value | None) -> Answer:
    if value is None:
        return Answer(type="*types.Optional")
    kind = value.type().name()
    if kind == "STRING":
        return Answer(text=value.value())
    if kind == "BOOL" and not value.value():
        return Answer(false=True)
    if kind == "TYPE":
        return Answer(text=_type(value.value().name()))
    if kind == "pb.Auth":
        return Answer(auth=_made(value.value()))
    if kind.startswith("LIST"):
        return Answer(type="*types.baseList")
    if kind.startswith("MAP"):
        return Answer(type="*types.baseMap")
    return Answer(type=_GO.get(kind, "*types.protoObj"))


def _type(name: str) -> str:
    """Return the name of a type as programs see it in OpenBao."""
    known = {
        "NULL": "null_type",
        "TIMESTAMP": "google.protobuf.Timestamp",
        "DURATION": "google.protobuf.Duration",
    }
    return known.get(name) or (name if "." in name else name.partition("<")[0].lower())


def _made(auth: Kept) -> ProgramAuth:
    lease = auth.lease_options
    return ProgramAuth(
        display_name=auth.display_name,
        policies=tuple(auth.policies),
        metadata=dict(auth.metadata),
        period=auth.period,
        num_uses=auth.num_uses,
        entity_id=auth.entity_id,
        alias=auth.alias.name if auth.HasField("alias") else None,
        alias_metadata=dict(auth.alias.metadata),
        groups=tuple(alias.name for alias in auth.group_aliases),
        bound_cidrs=tuple(auth.bound_cidrs),
        explicit_max_ttl=auth.explicit_max_ttl,
        token_type=auth.token_type,
        no_default_policy=auth.no_default_policy,
        timeless=auth.HasField("lease_options") and not lease.HasField("issue_time"),
        ttl=lease.TTL,
        max_ttl=lease.MaxTTL,
        renewable=lease.renewable,
    )


def _reply(question: Question) -> Answer:
    try:
        if question.claims is None:
            check(question)
            return Answer()
        return run(question)
    except ProgramRefusal as refusal:
        return Answer(refused=str(refusal))


def main() -> None:
    """Answer questions until there are no more."""
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        resource.setrlimit(what, (most, most))
    protocol.ready(sys.stdout.buffer)
    while (question := protocol.heard(sys.stdin.buffer)) is not None:
        protocol.answer(sys.stdout.buffer, _reply(question))
        if int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize() > ENOUGH:
            return


if __name__ == "__main__":
    main()
