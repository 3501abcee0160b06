# SPDX-License-Identifier: EUPL-1.2
"""Reads syslog messages as RFC 5424, section 6, writes them down: what is not in its grammar is refused."""

import re
from dataclasses import dataclass
from datetime import datetime

_NAME = r"[!#-<>-\\^-~]{1,32}"
_PARAMETER = rf'{_NAME}="(?:[^"\\\]]|\\["\\\]])*"'
_HEADER = re.compile(
    r"<(?P<priority>0|[1-9][0-9]{0,2})>(?P<version>[1-9][0-9]{0,2})"
    r" (?P<time>-|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?(?:Z|[+-][0-9]{2}:[0-9]{2}))"
    r" (?P<host>[!-~]{1,255}) (?P<application>[!-~]{1,48}) (?P<process>[!-~]{1,128}) (?P<id>[!-~]{1,32})"
    rf" (?P<data>-|(?:\[{_NAME}(?: {_PARAMETER})*\])+)"
    r"(?: (?P<text>.*))?",
    re.DOTALL,
)
"""Of a message with one character for each octet."""
_ELEMENT = re.compile(rf"\[({_NAME})((?: {_PARAMETER})*)\]")
_ONE = re.compile(rf'({_NAME})="((?:[^"\\\]]|\\["\\\]])*)"')
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Message:
    """One message."""

    facility: int
    severity: int
    time: datetime | None
    host: str
    application: str
    process: str
    id: str
    data: dict[str, dict[str, str]]
    text: bytes


def parse(message: bytes) -> Message:
    """Read a message. Raises `ValueError` for what is none."""
    found = _HEADER.fullmatch(message.decode("latin-1"))
    if found is None or int(found["priority"]) > 191 or found["version"] != "1":
        raise ValueError(message[:200])
    text = (found["text"] or "").encode("latin-1")
    if text.startswith(_BOM):
        text.decode()
    elements = _ELEMENT.findall(found["data"])
    if len({name for name, _ in elements}) != len(elements):
        raise ValueError("an element comes twice")
    for name, _ in elements:
        if "@" not in name:
            raise ValueError(f"{name} is not registered")
    return Message(
        *divmod(int(found["priority"]), 8),
        None if found["time"] == "-" else datetime.fromisoformat(found["time"]),
        found["host"],
        found["application"],
        found["process"],
        found["id"],
        {
            name: {key: re.sub(r"\\(.)", r"\1", value) for key, value in _ONE.findall(given)}
            for name, given in elements
        },
        text,
    )
