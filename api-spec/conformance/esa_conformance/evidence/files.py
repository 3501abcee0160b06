# SPDX-License-Identifier: Apache-2.0
"""Files that the operator hands over: from a path, a folder or an address, and never more of them than a bound."""

from __future__ import annotations

import gzip
import http.client
import ssl
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from esa_conformance.errors import ConformanceError, UnknownOutcome

MOST_BYTES: Final = 64 << 20
"""Bytes of one file, or of what it holds where it is compressed: what is longer is refused, and never read in part."""
MOST_FILES: Final = 1000
_SECONDS: Final = 10.0
_ADDRESS: Final = ("http://", "https://")
_RECORDS: Final = (".jsonl", ".ndjson", ".log", ".json")
_CHECKPOINTS: Final = (".checkpoints", ".checkpoint", ".note")


@dataclass(frozen=True)
class Artefacts:
    """What was handed over: places of records and of checkpoints, each a file, a folder or an address, the oldest first.

    `checkpoint_keys` are verifier keys as C2SP signed-note has them, from another source than the server.
    """

    records: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    checkpoint_keys: tuple[str, ...] = ()
    ca_file: str | None = None

    def record_files(self) -> list[bytes]:
        """The contents of all files of records. Raises ConformanceError where one cannot be read whole."""
        return _all(self.records, _RECORDS, self.ca_file)

    def checkpoint_files(self) -> list[bytes]:
        """The contents of all files of checkpoints. Raises ConformanceError where one cannot be read whole."""
        return _all(self.checkpoints, _CHECKPOINTS, self.ca_file)


def is_address(place: str) -> bool:
    """Whether a place is asked for over HTTP."""
    return place.startswith(_ADDRESS)


def _all(places: Sequence[str], endings: tuple[str, ...], ca_file: str | None) -> list[bytes]:
    found, left = [], MOST_BYTES
    for place in places:
        for one in [place] if is_address(place) else _paths(Path(place), endings):
            data = _fetched(one, ca_file, left) if is_address(one) else _read(Path(one), left)
            left -= len(data)
            found.append(data)
    return found


def _paths(path: Path, endings: tuple[str, ...]) -> list[str]:
    """A file, or the files of a folder and those below it whose names end so, by name."""
    if not path.is_dir():
        return [str(path)]
    whole = {*endings, *(f"{ending}.gz" for ending in endings)}
    found = sorted(str(one) for one in path.rglob("*") if one.is_file() and one.name.endswith(tuple(whole)))
    if len(found) > MOST_FILES:
        raise ConformanceError(f"artefacts: a folder has more than {MOST_FILES} files")
    return found


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise ConformanceError(f"artefacts: a file cannot be read: {error.strerror}") from None
    return _whole(data, most, packed=path.name.endswith(".gz"))


def _whole(data: bytes, most: int, *, packed: bool) -> bytes:
    if packed:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            data = unpacker.decompress(data, most + 1)
        except (zlib.error, gzip.BadGzipFile):
            raise ConformanceError("artefacts: a file that ends in .gz is not of gzip") from None
    if len(data) > most:
        raise ConformanceError(f"artefacts: the files have more than {MOST_BYTES} bytes together")
    return data


def _fetched(address: str, ca_file: str | None, most: int) -> bytes:
    """The body at an address: no redirect is followed, no credential sent, and nothing said of what it holds."""
    parts = urlsplit(address)
    host = parts.hostname or ""
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = ssl.create_default_context(cafile=ca_file)
        connection = http.client.HTTPSConnection(host, parts.port or 443, timeout=_SECONDS, context=context)
    else:
        connection = http.client.HTTPConnection(host, parts.port or 80, timeout=_SECONDS)
    try:
        connection.request("GET", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
        answer = connection.getresponse()
        data = answer.read(most + 1)
    except (OSError, http.client.HTTPException) as error:
        raise UnknownOutcome(f"artefacts: an address cannot be read: {type(error).__name__}") from None
    finally:
        connection.close()
    if answer.status != 200:
        raise ConformanceError(f"artefacts: an address answers {answer.status}")
    return _whole(data, most, packed=parts.path.endswith(".gz"))
