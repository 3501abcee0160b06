# SPDX-License-Identifier: EUPL-1.2
"""A server that has a log and nothing else: its records, proofs and segments, and faults that a real one has never."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.log.written import ORIGIN, chained, purge_of, record, root_of, time_of
from tests.served import served
from tests.unit.log.format.signing import ed25519
from vault.log.format.checkpoint import Checkpoint, sign_checkpoint
from vault.log.format.proof import LogProof
from vault.log.format.tiles import WIDTH, Tile, parse_tile
from vault.log.format.tree import complete_hash, leaf_hash
from vault.log.format.tree_proof import inclusion_proof
from vaultctl.text.json import parse

LOG, OTHER = "0123abcd-0-1", "0123abcd-1-0"
Answer = tuple[int, bytes, Mapping[str, str]]
_NONE: Mapping[str, str] = {}
MISSING: Answer = (404, b'{"errors":["there is no such record, or it is not indexed yet"]}', _NONE)


def named(log: str) -> str:
    """The key of a log, as people hand it on."""
    return ed25519(f"{ORIGIN}/{log}").verifier.vkey


class LogServer(ThreadingHTTPServer):
    """Has logs of some records each, closed in segments of four, and signed up to `signed`."""

    daemon_threads = True

    def __init__(self, sizes: Mapping[str, int]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.lines = {
            log: chained(record(seq, log=log) for seq in range(count)) for log, count in sizes.items()
        }
        self.signed = dict(sizes)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.grown = threading.Condition()
        self.tenant = ""
        """The namespace that asks; "" for the root."""
        self.faults: dict[str, list[Answer]] = {}
        """By the path of a request the answers that are given instead, once each."""
        self.purged = 0
        """The oldest record that every log has."""
        self.ended: tuple[int, ...] = ()
        """The segments that have ended, but are not closed yet: the newest ones."""
        self.hidden: set[tuple[str, int]] = set()
        """Records that a follow leaves out."""
        self.damaged: dict[str, int] = {}
        """By log the first record that is not found, for damage."""
        self.status: dict[str, object] = {}
        self.later: list[Callable[[], object]] = []
        """What is done when a log is followed, one at each question."""
        self.last: Callable[[], object] = bool
        """What is done when a log is followed by somebody who does not wait."""

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def append(self, log: str, *more: Mapping[str, object]) -> None:
        """Let a log grow; whoever waits gets it."""
        with self.grown:
            known = [json.loads(line) for line in self.lines.get(log, [])]
            self.lines[log] = chained(
                [*known, *({**record(len(known) + at, log=log), **one} for at, one in enumerate(more))]
            )
            self.grown.notify_all()

    def purge(self, log: str, first: int) -> None:
        """Have the records before `first` gone, and the last record announce that."""
        known = [json.loads(line) for line in self.lines[log][:-1]]
        self.lines[log] = chained([*known, purge_of(log, first - 1, len(known), own=log)])
        self.purged = first

    def note(self, log: str) -> bytes:
        """The newest checkpoint of a log."""
        size = self.signed[log]
        checkpoint = Checkpoint(origin=f"{ORIGIN}/{log}", size=size, root=root_of(self.lines[log][:size]))
        return sign_checkpoint(checkpoint, [ed25519(f"{ORIGIN}/{log}")])

    # ------------------------------------------------------------------------------------ answers
    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> Answer:
        """Answer one request below `/v1/sys/log/`."""
        if self.faults.get(path):
            return self.faults[path].pop(0)
        kind, _, rest = path.partition("/")
        if method == "PUT" and kind == "hash":
            return _data({"hashes": [f"k1:{body['input']}"]})
        if kind == "status":
            return _data(self._status())
        if kind == "checkpoints":
            return 200, self.note(rest), _NONE
        if kind == "tiles":
            log, _, tile = rest.partition("/")
            return self._tile(log, parse_tile(tile))
        if kind == "segments":
            log, _, first = rest.partition("/")
            return (
                self._segment(log, int(first), query) if first else _data({"segments": self._segments(log)})
            )
        if not rest:
            return self._follow(query) if "after" in query else self._search(query)
        log, _, number = rest.partition("/")
        seq = int(number.removesuffix("/proof"))
        if seq >= len(self.lines[log]):
            return MISSING
        return (
            self._proof(log, seq)
            if number.endswith("/proof")
            else _page([self.lines[log][seq]], {"next": None})
        )

    def _search(self, query: dict[str, str]) -> Answer:
        found = sorted(
            (line for lines in self.lines.values() for line in lines),
            key=lambda line: json.loads(line)["observed_timestamp"],
            reverse=query.get("order", "desc") == "desc",
        )
        begin, limit = int(query.get("cursor", 0)), int(query["limit"])
        more = begin + limit if begin + limit < len(found) else None
        ends = {log: self.damaged.get(log, len(lines)) for log, lines in self.lines.items()}
        through: dict[str, object] = {log: end - 1 for log, end in ends.items() if end}
        if self.tenant:
            through = {log: {self.tenant: number} for log, number in through.items()}
        about = {"complete": True, "indexed_through": through, "next": None if more is None else str(more)}
        if self.damaged:
            about |= {"complete": False, "damaged": self.damaged}
        return _page(found[begin : begin + limit], about, {"Log-Receipt": f'log="{LOG}", seq=0'})

    def _follow(self, query: dict[str, str]) -> Answer:
        log, after, limit = query["log"], int(query["after"]), int(query["limit"])
        if self.later:
            self.later.pop(0)()
        if "wait" not in query:
            self.last()
        if not 1 <= limit <= 1000:
            return 400, b'{"errors":["limit must be between 1 and 1000"]}', _NONE
        if after + 1 < self.purged:
            return 404, b'{"errors":["the oldest record of the log is %d"]}' % self.purged, _NONE
        with self.grown:
            self.grown.wait_for(lambda: len(self.lines[log]) > after + 1, min(int(query.get("wait", 0)), 1))
            found = self.lines[log][after + 1 : after + 1 + limit]
        shown = [line for seq, line in enumerate(found, after + 1) if (log, seq) not in self.hidden]
        return _page(
            shown, {"complete": True, "next": after + len(found)}, {"Log-Receipt": f'log="{log}", seq=1'}
        )

    def _proof(self, log: str, seq: int) -> Answer:
        size = self.signed[log]
        if seq >= size:
            return 404, b'{"errors":["no checkpoint covers the record yet"]}', {"Retry-After": "0"}
        leaves = [leaf_hash(line) for line in self.lines[log]]

        def subtree(level: int, index: int) -> bytes:
            return complete_hash(leaves[index << level : (index + 1) << level])

        hashes = tuple(inclusion_proof(seq, size, subtree))
        return 200, LogProof(index=seq, hashes=hashes, checkpoint=self.note(log)).format(), _NONE

    def _tile(self, log: str, tile: Tile) -> Answer:
        leaves = [leaf_hash(line) for line in self.lines[log]]
        below = 8 * tile.level
        begin = tile.index * WIDTH
        if (begin + tile.width) << below > len(leaves):
            return 404, b'{"errors":["the tree has no such tile"]}', _NONE
        parts = range(begin, begin + tile.width)
        return 200, b"".join(complete_hash(leaves[at << below : (at + 1) << below]) for at in parts), _NONE

    def _segments(self, log: str) -> list[dict[str, object]]:
        lines = self.lines[log]
        starts = range(self.purged, len(lines) - 4, 4)
        closed: list[dict[str, object]] = [
            {
                "first": first, "closed": True, "last": first + 3, "sha256": sha256(_content(lines, first)).hexdigest(),
                "size": len(_content(lines, first)), "checkpoint": "", "begins": time_of(first), "ends": time_of(first + 3),
            }
            for first in starts if first not in self.ended
        ]  # fmt: skip
        unclosed = [*self.ended, (len(lines) - 1) // 4 * 4]
        return [
            *closed,
            *({"first": first, "closed": False, "last": -1, "sha256": ""} for first in unclosed),
        ]

    def _segment(self, log: str, first: int, query: dict[str, str]) -> Answer:
        packed = gzip.compress(_content(self.lines[log], first), mtime=0)
        offset, length = int(query["offset"]), min(int(query["length"]), 100)
        return 200, packed[offset : offset + length], {"X-Segment-Size": str(len(packed))}

    def _status(self) -> dict[str, object]:
        logs = [
            {
                "log": log, "first": 0, "indexed_through": len(lines) - 1, "behind": 0, "behind_bytes": 0, "segments": 2,
                "proofs": True, "damage": "",
            }
            for log, lines in self.lines.items()
        ]  # fmt: skip
        about = {
            "log": LOG,
            "records": len(self.lines[LOG]),
            "signed": self.signed[LOG],
            "key": named(LOG),
            "logs": logs,
        }
        keys = {log: named(log) for log in self.lines}
        return {**about, "keys": keys, "index_bytes": 4096, "rebuilding": False, "trouble": "", **self.status}


def _content(lines: Sequence[bytes], first: int) -> bytes:
    return b"".join(line + b"\n" for line in lines[first : first + 4])


def _page(lines: Sequence[bytes], about: Mapping[str, object], headers: Mapping[str, str] = _NONE) -> Answer:
    return 200, b"".join(line + b"\n" for line in [*lines, json.dumps({"$page": about}).encode()]), headers


def _data(found: object) -> Answer:
    return 200, json.dumps({"data": found}).encode(), _NONE


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LogServer

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        path, query = parts.path.removeprefix("/v1/sys/log/"), dict(parse_qsl(parts.query))
        self.server.asked.append((path, query))
        status, body, headers = self.server.answer(self.command, path, query, parse(sent) if sent else None)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = _answer  # noqa: N815  # names that the base class calls

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def log_server(**sizes: int) -> Iterator[LogServer]:
    """Serve until the end of the block: `own` and `other` are how many records the two logs have."""
    with served(
        LogServer({LOG: sizes.get("own", 10), **({OTHER: sizes["other"]} if "other" in sizes else {})})
    ) as server:
        yield server
