# SPDX-License-Identifier: EUPL-1.2
"""Copied segments as a log folder: what was copied without its folder gets one, of links, for as long as it is read."""

from __future__ import annotations

import gzip
import zlib
from contextlib import contextmanager
from pathlib import Path

from vaultctl.errors import CommandError, UsageError
from vaultctl.text.json import as_map, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_PLAIN, _PACKED, _MANIFEST = ".jsonl", ".jsonl.gz", ".manifest"
_KINDS = (_PLAIN, _PACKED, _MANIFEST, ".checkpoints")
_LONGEST_LINE = 1 << 17
_CHUNK = 1 << 20
_MOST_RATIO = 200
SURE = 64 << 20
"""Bytes that any segment may have, uncompressed."""
_DIGITS = 20
"""How many name a segment: the number of its first record."""


@contextmanager
def log_folder(paths: Sequence[str]) -> Iterator[Path]:
    """A log folder with what the paths name: one itself, or folders of logs, or segments that were copied from any.

    UsageError for what is none of these, CommandError for what can't be read.
    """
    import tempfile

    given = [Path(path) for path in paths]
    if len(given) == 1 and given[0].is_dir() and _logs_in(given[0]):
        yield given[0]
        return
    with tempfile.TemporaryDirectory(prefix="vaultctl-") as made:
        try:
            for path in given:
                _take(Path(made), path)
        except (OSError, EOFError, zlib.error) as failure:
            why = getattr(failure, "strerror", None) or "it is no gzip file"
            raise CommandError(f"cannot read {path}: {why}") from None
        yield Path(made)


def _logs_in(folder: Path) -> list[str]:
    from vault.log.format.segment import list_logs

    return [str(log) for log in list_logs(folder)]


def _take(folder: Path, path: Path) -> None:
    """Put links to the logs or segments of a path into the folder."""
    if not path.is_dir():
        _take_segment(folder, path)
    elif logs := _logs_in(path):
        for log in logs:
            (folder / log).symlink_to((path / log).resolve())
    elif _is_log(path.resolve().name):
        (folder / path.resolve().name).symlink_to(path.resolve())
    else:
        segments = {_stem(one): one for one in sorted(path.iterdir()) if _stem(one)}
        if not segments:
            raise UsageError(f"{path} is no log folder, and has no segments")
        for one in segments.values():
            _take_segment(folder, one)


def _take_segment(folder: Path, path: Path) -> None:
    """Link all files of the segment that one of its files is of, below the name of its log."""
    path.stat()
    stem = _stem(path)
    if not stem:
        raise UsageError(
            f"{path} is no file of a segment: it is called by {_DIGITS} digits, and .jsonl or .jsonl.gz"
        )
    files = {
        kind: path.with_name(stem + kind).resolve() for kind in _KINDS if path.with_name(stem + kind).exists()
    }
    log = folder / _log_of(path, files.get(_PLAIN) or files.get(_PACKED))
    log.mkdir(exist_ok=True)
    for kind, file in files.items():
        target = log / (stem + kind)
        if kind != _PACKED or _MANIFEST in files:
            target.unlink(missing_ok=True)
            target.symlink_to(file)
        elif _PLAIN not in files:  # only a manifest lets a compressed one be read
            _unpack(file, log / (stem + _PLAIN))


def _unpack(file: Path, target: Path) -> None:
    """Unpack a segment. CommandError for one that would fill the disk: records do not repeat themselves so often."""
    left = SURE + _MOST_RATIO * file.stat().st_size
    with gzip.open(file) as packed, target.open("wb") as plain:
        while chunk := packed.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                raise CommandError(
                    f"cannot read {file}: it unpacks to more than {_MOST_RATIO} times its size; "
                    "with its manifest beside it, it is read without that"
                )
            plain.write(chunk)


def _stem(path: Path) -> str:
    """The digits that name the segment of a file; empty where it is none of a segment's."""
    stem, dot, kind = path.name.partition(".")
    fits = len(stem) == _DIGITS and stem.isascii() and stem.isdigit() and dot + kind in _KINDS
    return stem if fits else ""


def _log_of(path: Path, records: Path | None) -> str:
    """The log of a segment: what its folder is called, else what its first record says."""
    name = path.resolve().parent.name
    if _is_log(name):
        return name
    log = _first_record(records).get("log") if records is not None else None
    if not (isinstance(log, str) and _is_log(log)):
        raise UsageError(f"{path} does not say which log it is of: its folder is to be called by the log")
    return log


def _first_record(path: Path) -> dict[str, object]:
    with gzip.open(path) if path.name.endswith(_PACKED) else path.open("rb") as file:
        line = file.readline(_LONGEST_LINE)
    try:
        return as_map(parse(line))
    except ValueError:
        return {}


def _is_log(name: str) -> bool:
    from vault.log.format.segment import LogId

    try:
        LogId.parse(name)
    except ValueError:
        return False
    return True
