# SPDX-License-Identifier: EUPL-1.2
"""Requests that chance makes from our own OpenAPI document, and bytes that are hardly requests at all."""

import json
import random
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from tests.hostile import BODIES, FORMS, HEADERS, TEXTS, VALUES, shown

LENGTHS = (10, 300, 3000, 20_000)
"""Characters of a long text; of a body there may be more."""
_LONG_BODY = (3000, 60_000, 300_000)
METHODS = ("GET", "POST", "PUT", "DELETE", "LIST", "SCAN", "PATCH", "HEAD", "OPTIONS", "TRACE", "PROPFIND")
_PLACE = re.compile(r"\{([a-z_]+)\}")
_NASTY = (
    "", " ", "\x00", "\n", "\r\n", "../..", "..", ".", "%", "%2e%2e", "%00", "%252e", "//", "\\..\\", "*", "+",
    "root", "default", "ROOT", "s.", "b.", "hmac-sha256:", "<script>", "'", '"', "{{identity.entity.id}}", "a,b",
    "a=b", "\u202e", "\U0001f511", "\ud7ff", "e\u0301", "-1", "0", "1e999", "0x10", "NaN", "1h", "-1h", "x" * 5000,
)  # fmt: skip
_NUMBERS = (0, 1, -1, 2, 2**31, 2**63 - 1, 2**63, -(2**63) - 1, 10**40, 0.1, -0.0, 1e308, 5e-324)
_VERBS = (b"POST", b"POST", b"GET", b"PUT", b"LIST", b"SCAN", b"FOO", b"DELETE")
_BEHIND = b"SCAN /v1/behind HTTP/1.1\r\nHost: x\r\n\r\n"
"""A request that may be answered only where all agree that the one before it has ended."""
_RAW_BODIES = (
    b"", b"null", b"[]", b'"x"', b"1", b"{", b"}", b"{]", b'{"a":', b'{"a":1,}', b'{"a":NaN}', b'{"a":1e999}',
    b'{"a":"\\ud800"}', b'{"a":"\xff"}', b"\xef\xbb\xbf{}", b'{"a":1}{"b":2}', b"a=b&c=d", b"%", b"\x00", b"\x1f\x8b",
    b"[" * 5000, b'{"a":' * 200 + b"1" + b"}" * 200, b'{"a":' + b"9" * 5000 + b"}",
    b'{"a":[' + b'"x",' * 2000 + b'"x"]}', b'{"a":"' + b"y" * 100_000 + b'"}', b'{"a":1,"a":2}',
)  # fmt: skip
_HEADERS = (
    ("X-Vault-Wrap-TTL", ("0", "-1", "60", "1h", "x", "9" * 30, "")),
    ("X-Vault-Namespace", ("", "root", "/", "ns1", "ns1/", "../x", "\xe9")),
    ("X-Vault-Wrap-Format", ("jwt", "", "x")),
    ("X-Vault-Token", ("", "root", "s.", "b.AAAA", "x" * 3000, "\xe9", "s." + "A" * 24)),
    ("Authorization", ("", "Bearer", "Bearer ", "Bearer x", "Basic eA==", "bearer s.x")),
    ("Content-Type", ("", "application/json", "application/merge-patch+json", "text/plain", "x", "a/b;c",
                      "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")),
    ("Accept", ("application/problem+json", "*/*", "", "text/html")),
    ("Expect", ("100-continue",)),
    ("Content-Encoding", ("gzip", "x")),
    ("X-Forwarded-For", ("1.2.3.4", "x")),
    ("X-Vault-Request", ("true", "")),
    ("X-HTTP-Method-Override", ("DELETE",)),
)  # fmt: skip


@dataclass
class Request:
    """One request of an HTTP client; the target is percent-encoded, headers are latin-1."""

    method: str
    target: str
    body: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI document."""

    method: str
    path: str
    fields: tuple[str, ...]


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Read the document; a LIST or SCAN is an operation of its own."""
    found: list[Operation] = []
    for path, item in document["paths"].items():
        places = {p["name"]: p["schema"].get("default", "") for p in item.get("parameters", ())}
        for name, default in places.items():
            path = path.replace("{" + name + "}", default)
        for method, operation in item.items():
            if method != "parameters":
                found += _operations(path, method.upper(), operation)
    return found


def _operations(path: str, method: str, operation: Mapping[str, Any]) -> list[Operation]:
    asked = [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]
    body = operation.get("requestBody", {}).get("content", {})
    declared = [name for media in body.values() for name in media["schema"].get("properties", {})]
    verbs = [method, *(name.upper() for name in asked if name in {"list", "scan"})]
    return [Operation(verb, path, tuple(declared + asked)) for verb in verbs]


class Noise:
    """Makes requests. `marker` is a secret that is planted where a client may put one."""

    def __init__(self, known: list[Operation], seed: int, *, marker: str = "") -> None:
        self._known = known
        self._chance = random.Random(seed)
        self._marker = marker

    def request(self, *, token: str) -> Request:
        """A request to a known path most of the time, well-formed most of the time, never sealing the vault."""
        chance = self._chance
        operation = chance.choice(self._known)
        method = operation.method if chance.random() < 0.85 else chance.choice(METHODS)
        path = _PLACE.sub(lambda _: self._segment(), operation.path)
        if chance.random() < 0.05:
            path = f"{path}/{self._segment()}"
        request = Request(method, "/v1" + path)
        if chance.random() < 0.8:
            request.headers["X-Vault-Token"] = token
        for name, values in chance.sample(_HEADERS, chance.choice((0, 0, 0, 1, 2))):
            request.headers[name] = chance.choice((*values, self._marker or "x"))
        if chance.random() < 0.1:
            request.headers[chance.choice(HEADERS)] = shown(self._long()) or "x"
        if method in {"POST", "PUT", "PATCH"}:
            request.body = self._body(operation.fields)
            if method == "PATCH" and chance.random() < 0.9:
                request.headers["Content-Type"] = "application/merge-patch+json"
        elif chance.random() < 0.5:
            query = {name: self._scalar() for name in operation.fields if chance.random() < 0.6}
            request.target += "?" + urlencode(query, errors="replace")
        return request

    def _segment(self) -> str:
        chance = self._chance
        if chance.random() < 0.05:
            return quote(self._long()[:20_000], errors="replace")[:20_000].rstrip("%")
        if chance.random() < 0.6:
            return chance.choice(("x", "y", "secret", "a/b", "token", "default", "file", "kv"))
        return quote(chance.choice((*_NASTY[1:], self._word())), safe=chance.choice(("", "/", "/.%", "/.")))

    def _word(self) -> str:
        return self._marker or "".join(
            self._chance.choices(string.printable, k=self._chance.randrange(1, 20))
        )

    def _long(self) -> str:
        """A text that some parser takes long over, if any does."""
        return self._chance.choice(list(TEXTS.values()))(self._chance.choice(LENGTHS))

    def _scalar(self) -> Any:
        chance = self._chance
        if chance.random() < 0.05:
            return self._long()
        return chance.choice(
            (None, True, False, chance.choice(_NUMBERS), chance.choice(_NASTY), self._word())
        )

    def value(self, depth: int = 0) -> Any:
        """Any JSON value."""
        chance = self._chance
        shape = chance.random()
        if shape > 0.98:
            return chance.choice(list(VALUES.values()))(chance.choice(LENGTHS))
        if depth > 3 or shape < 0.6:
            return self._scalar()
        if shape < 0.8:
            return [self.value(depth + 1) for _ in range(chance.randrange(4))]
        return {self._key(): self.value(depth + 1) for _ in range(chance.randrange(4))}

    def _key(self) -> str:
        return self._chance.choice(("a", "data", "options", "cas", "version", "ttl", "policy", "x y"))

    def _body(self, fields: tuple[str, ...]) -> bytes:
        chance = self._chance
        if chance.random() < 0.1:
            return chance.choice(_RAW_BODIES)
        if chance.random() < 0.05:
            return chance.choice([*BODIES.values(), *FORMS.values()])(chance.choice(_LONG_BODY))
        body = {name: self.value() for name in fields if chance.random() < 0.6}
        if chance.random() < 0.2:
            body[self._key()] = self.value()
        text = json.dumps(body, ensure_ascii=chance.random() < 0.5, allow_nan=False).encode(
            "utf-8", "replace"
        )
        if chance.random() < 0.05:
            text = text[: chance.randrange(len(text) + 1)]
        return text

    def raw(self) -> bytes:
        """Bytes for a connection: requests that are broken in all the ways that break parsers."""
        chance = self._chance
        kind = chance.randrange(12)
        marker = self._marker.encode() or b"x"
        verb = chance.choice(_VERBS)
        head = verb + b" /v1/sys/tools/random HTTP/1.1\r\nHost: x\r\nX-Vault-Token: " + marker + b"\r\n"
        if kind == 0:
            return chance.randbytes(chance.randrange(1, 400))
        if kind == 1:
            return b"\x16\x03\x01" + chance.randbytes(chance.randrange(1, 300))
        if kind == 2:
            whole = head + b"Content-Length: 20\r\n\r\n" + marker[:20]
            return whole[: chance.randrange(1, len(whole))]
        if kind == 3:
            return head + b"X-Large: " + marker * chance.choice((10, 1000, 4000)) + b"\r\n\r\n"
        if kind == 4:
            get = b"GET /v1/sys/health HTTP/1.1\r\nHost: x\r\n\r\n"
            return get * chance.randrange(2, 50) + get[: chance.randrange(len(get))]
        if kind == 5:
            return head + b"Transfer-Encoding: chunked\r\n\r\n" + self._chunks()
        if kind == 6:
            length = chance.choice(
                (b"-1", b"x", b"99999999999999999999", b"1, 2", b"0x10", b" ", b"+3", b"5000000000")
            )
            return head + b"Content-Length: " + length + b"\r\n\r\n{}"
        if kind == 7:
            return self._mutated(head + b"Content-Length: 2\r\n\r\n{}")
        if kind == 8:
            both = [b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n"]
            chance.shuffle(both)
            return head + b"".join(both) + b"\r\n" + self._chunks() + _BEHIND
        if kind == 9:
            return self._ambiguous(head + b"a: b\r\nContent-Length: 2\r\n\r\n{}") + _BEHIND
        if kind == 10:
            long = chance.choice(
                (b"a:\r\n" * 9000, b"a" * 40_000 + b": b\r\n", b"a: " + b"b" * 70_000 + b"\r\n")
            )
            return head + long + b"\r\n" + _BEHIND
        size = chance.choice((1, 1, 2, 7))
        chunk = b"%x\r\n%b\r\n" % (size, b" " * size)
        return (
            head
            + b"Transfer-Encoding: chunked\r\n\r\n"
            + chunk * chance.randrange(5000)
            + b"0\r\n\r\n"
            + _BEHIND
        )

    def _ambiguous(self, text: bytes) -> bytes:
        """A request with one thing that two servers may read in two ways, or none."""
        before, after = self._chance.choice(
            (
                (b"\r\na:", b"\na:"), (b"\r\n\r\n", b"\n\n"), (b"a: b", b"a: b\r\n c"), (b"a: b", b"a : b"),
                (b"Host: x", b"Host: a b/"), (b"Host: x\r\n", b""), (b"Host: x", b"Host: x\r\nHost: y"),
                (b"HTTP/1.1", b"HTTP/1.2"), (b"HTTP/1.1", b"HTTP/9.9"), (b" HTTP", b"  HTTP"), (b"th: 2", b"th: +2"),
                (b"th: 2", b"th: 2, 2"), (b"a: b", b"Transfer-Encoding: chunked, identity"),
                (b"a: b", b"Connection: upgrade\r\nUpgrade: h2c"), (b"a: b", b"a: b\0"), (b" /v1", b" http://y/v1"),
            )
        )  # fmt: skip
        return text.replace(before, after, 1)

    def _chunks(self) -> bytes:
        sizes = (b"2", b"-1", b"zz", b"ffffffffffffffff", b"2;x=y", b"0", b"", b" 2", b"2\n")
        return b"".join(
            self._chance.choice(sizes) + self._chance.choice((b"\r\n", b"\n", b"")) + b"{}\r\n"
            for _ in range(self._chance.randrange(4))
        ) + self._chance.choice((b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b""))

    def _mutated(self, text: bytes) -> bytes:
        found = bytearray(text)
        for _ in range(self._chance.randrange(1, 6)):
            place = self._chance.randrange(len(found))
            found[place : place + self._chance.randrange(2)] = self._chance.choice(
                (b"\x00", b"\r", b"\n", b" ", b":", b"\xff", b"/", b"%", b"\t", self._chance.randbytes(1))
            )
        return bytes(found)
