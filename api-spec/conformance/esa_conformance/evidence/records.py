# SPDX-License-Identifier: Apache-2.0
"""Records of a log that was handed over: in the form of this specification, or as audit files of the dialect have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from esa_conformance.decoding import json_of

Outcome = Literal["", "done", "refused"]


@dataclass(frozen=True)
class Recorded:
    """One record: `outcome` is empty for an attempt. `line` is as it stands in its file, without its end."""

    line: bytes = field(repr=False)
    members: Mapping[str, Any] = field(repr=False)
    request: str
    operation: str
    path: str
    address: str
    caller: bool
    """Whether it says who asked, if only that nobody was known."""
    outcome: Outcome
    time: str

    @property
    def own_form(self) -> bool:
        """Whether it has the form of this specification: a number, and the hash of the record before."""
        return isinstance(self.members.get("seq"), int) and isinstance(self.members.get("prev_hash"), str)


def records_of(files: Iterable[bytes]) -> list[Recorded]:
    """The records in files, in their order. A last line without end is still being written, and no record yet."""
    return [
        record for data in files for line in data.split(b"\n")[:-1] if (record := _record(line)) is not None
    ]


def chains(records: Sequence[Recorded]) -> Mapping[str, Sequence[Recorded]]:
    """Records of this specification's form by their log, in the order of the files."""
    made: dict[str, list[Recorded]] = {}
    for record in records:
        if record.own_form:
            made.setdefault(str(record.members.get("log", "")), []).append(record)
    return made


def of_path(records: Iterable[Recorded], path: str) -> Iterator[Recorded]:
    """The records of requests about what has this path, wherever it is mounted."""
    return (one for one in records if one.path == path or one.path.endswith(f"/{path}"))


def outcomes(records: Iterable[Recorded]) -> list[Recorded]:
    """What came of each request, once: a refusal may stand in more than one record."""
    return list({one.request: one for one in records if one.outcome}.values())


def moment(text: str) -> tuple[str, str]:
    """A time in RFC 3339 and UTC so that two are compared: fractions may have any number of digits."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return whole, fraction.ljust(9, "0")


def _record(line: bytes) -> Recorded | None:
    try:
        members = json_of(line)
    except ValueError:
        return None
    if not isinstance(members, dict):
        return None
    return _of_audit_file(line, members) if isinstance(members.get("request"), dict) else _own(line, members)


def _own(line: bytes, members: Mapping[str, Any]) -> Recorded:
    attempt = members.get("phase") == "attempt"
    outcome: Outcome = "done" if members.get("outcome") == "success" else "refused"
    return Recorded(
        line, members, _text(members, "request.id"), _text(members, "event_name"), _text(members, "url.path"),
        _text(members, "client.address"), bool(members.get("actor")), "" if attempt else outcome,
        _text(members, "observed_timestamp"),
    )  # fmt: skip


def _of_audit_file(line: bytes, members: Mapping[str, Any]) -> Recorded:
    request = members["request"]
    refused = bool(members.get("error"))
    outcome: Outcome = "refused" if refused else "" if members.get("type") == "request" else "done"
    return Recorded(
        line, members, _text(request, "id"), _text(request, "operation"), _text(request, "path"),
        _text(request, "remote_address"), isinstance(members.get("auth"), dict), outcome, _text(members, "time"),
    )  # fmt: skip


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""
