# SPDX-License-Identifier: EUPL-1.2
"""Records as syslog messages (RFC 5424), each after its length (RFC 6587, section 3.4.1; RFC 5425, section 4.3)."""

from __future__ import annotations

import re
from typing import Final

from vault.log.forward.batch import Batch, Head, Record

_FACILITY: Final = 13
"""Log audit (RFC 5424, table 1)."""
_SEVERITIES: Final = {"denied": 4, "failed": 3}
"""Warning and error (table 2)."""
_USUAL: Final = 6
"""Informational."""
_APPLICATION: Final = "coffre"
_ENTERPRISE: Final = 32473
"""The number for examples (RFC 5612): Coffre has none of its own."""
_NIL: Final = "-"
_LONGEST_HOST: Final = 255
_LONGEST_MESSAGE_ID: Final = 32
_UNPRINTABLE: Final = re.compile(r"[^!-~]")
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}[0-9]{3}Z")


def frames(batch: Batch, host: str) -> bytes:
    """Return records as messages, each with its length before it; `host` is this machine's name."""
    return b"".join(b"%d %b" % (len(made), made) for made in (message(each, host) for each in batch.records))


def message(record: Record, host: str) -> bytes:
    """Return one record as a message; its line is the text."""
    head = record.head
    priority = _FACILITY * 8 + _SEVERITIES.get(head.outcome, _USUAL)
    named = (
        f"<{priority}>1 {_time(head)} {_word(host, _LONGEST_HOST)} {_APPLICATION} {_word(head.log, 128)}"
        f' {_word(head.event_name, _LONGEST_MESSAGE_ID)} [coffre@{_ENTERPRISE} log="{_value(head.log)}" seq="{head.seq}"] '
    )
    # Octets (MSG-ANY, section 6.4) without the byte order mark that a text in UTF-8 has: JSON has none (RFC 8259, 8.1).
    return named.encode() + record.line


def _time(head: Head) -> str:
    """Return the time of the event, with six digits: there may be no more (section 6.2.3)."""
    time = head.timestamp or head.observed_timestamp
    return f"{time[:26]}Z" if _TIME.fullmatch(time) else _NIL


def _word(text: str, longest: int) -> str:
    """Return a text as a header has it: printable characters of ASCII, without spaces."""
    return _UNPRINTABLE.sub("_", text)[:longest] or _NIL


def _value(text: str) -> str:
    """Return the value of a parameter, in which three characters have a backslash (section 6.3.3)."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")
