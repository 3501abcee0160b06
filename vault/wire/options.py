# SPDX-License-Identifier: EUPL-1.2
"""Options of a request in query and headers, beside path and verb."""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Final

from vault.framework import schema
from vault.framework.call import Call
from vault.framework.errors import Malformed, UnsupportedMedia, VaultError
from vault.framework.fields import Mismatch, parse_duration
from vault.framework.request.operation import Operation
from vault.values.times import Seconds

_TRUE: Final = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE: Final = frozenset({"0", "f", "F", "FALSE", "false", "False"})
ANYWHERE: Final = frozenset({"sys/leader", "sys/seal-status"})
"""Paths that answer in every state of the seal, whichever namespace the header names."""
ROOT_ONLY: Final = frozenset({"sys/in-flight-req", "sys/metrics"})
"""Paths that OpenBao refuses whenever the header names a namespace."""
NOWHERE: Final = "\0/"
"""Stands for a header that can name no namespace; no path begins so."""
_FALLBACKS: Final = (b"fail", b"forward-active-node", b"await-state")
"""What a client may want of a server that is behind its index."""
_MERGE_PATCH: Final = "application/merge-patch+json"


def listing(call: Call, data: dict[str, Any]) -> None:
    """Turn `?list=true`, `?scan=true` and `?help=1` into operations. Raises `Malformed` without text.

    Any value but the empty one asks for help. The first value of a repeated name counts.
    """
    wanted = []
    for name, operation in (("list", Operation.LIST), ("scan", Operation.SCAN), ("help", Operation.HELP)):
        value = data.pop(name, "")
        if isinstance(value, tuple):
            value = value[0]
        if not value:
            continue
        if operation is Operation.HELP:
            call.operation = Operation.HELP
            return
        if value not in _TRUE and value not in _FALSE:
            raise Malformed
        if value in _TRUE:
            wanted.append(operation)
    if len(wanted) > 1:
        raise Malformed
    if wanted:
        call.operation = wanted[0]


def check_merge_patch(content_type: bytes) -> None:
    """Refuse a PATCH of any other media type. Raises `Malformed` without one, else `UnsupportedMedia`."""
    media = content_type.split(b";")[0].strip().decode("latin-1").lower()
    if not media:
        raise Malformed("mime: no media type")
    if media != _MERGE_PATCH:
        raise UnsupportedMedia(f"PATCH requires Content-Type of {_MERGE_PATCH}")


def check_consistency(name: bytes, value: bytes) -> None:
    """Check the index that a client wants to be consistent with. Every read sees committed data, so nothing has to
    wait.

    Raises `Malformed` for a value that is no index.
    """
    if name == b"x-vault-index" and value and not _is_index(value):
        raise Malformed('failed to decode "X-Vault-Index"')
    if name == b"x-vault-inconsistent" and value not in _FALLBACKS:
        raise Malformed('unknown value for "X-Vault-Inconsistent" header')


def _is_index(value: bytes) -> bool:
    """Whether `value` is a JSON object in base64."""
    try:
        schema.decode_object(b64decode(value, validate=True))
    except (ValueError, VaultError):
        return False
    return True


def wrap_ttl(value: bytes) -> Seconds:
    """Return the seconds that the header asks for. Raises `Malformed`."""
    try:
        seconds = parse_duration(value.decode("latin-1"))
    except Mismatch as mismatch:
        raise Malformed(f"error parsing X-Vault-Wrap-TTL header: {mismatch}") from None
    if seconds < 0:
        raise Malformed("error parsing X-Vault-Wrap-TTL header: requested wrap ttl cannot be negative")
    return seconds


def within(value: bytes) -> str:
    """Return the namespace of a header as the prefix of a path, "" for the root one. It need not exist.

    Read as strictly as a path: `.` and `..`, empty parts and bad UTF-8 name no namespace (SL-08).
    """
    try:
        path = value.strip().strip(b"/").decode()
    except UnicodeDecodeError:
        return NOWHERE
    if path in ("", "root"):
        return ""
    parts = path.split("/")
    return NOWHERE if {"", ".", ".."} & {*parts} or not path.isprintable() else f"{path}/"


def only_readable(value: bytes) -> bool:
    """Whether a list filter asks for only those names that the caller may read. Raises `Malformed`."""
    if value.strip().lower() != b"readable":
        raise Malformed("X-Vault-List-Filter: the one filter is 'readable'")
    return True
