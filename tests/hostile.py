# SPDX-License-Identifier: EUPL-1.2
"""Texts, values and bodies of a wanted length that parsers take long over: what a hostile client sends.

Each is a function of a length, so that the cost of one may be compared at two of them.
"""

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Text = Callable[[int], str]
Value = Callable[[int], Any]


def repeated(piece: str, head: str = "", tail: str = "") -> Text:
    """Return what makes texts of one piece over and over, between a head and a tail."""

    def make(length: int) -> str:
        return head + piece * max(1, (length - len(head) - len(tail)) // len(piece)) + tail

    return make


_PEM = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
_KEY = "-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n"
_JWT_HEAD = base64.urlsafe_b64encode(b'{"alg":"ES256"}').decode().rstrip("=")

TEXTS: Mapping[str, Text] = {
    # Numbers, times, addresses.
    "digits": repeated("1"),
    "digits and a unit": repeated("1", tail="h"),
    "digits and a letter": repeated("1", tail="x"),
    "zeros": repeated("0", head="-"),
    "durations": repeated("1h"),
    "durations without end": repeated("1h", tail="1"),
    "points": repeated("1."),
    "exponents": repeated("1e"),
    "addresses": repeated("192.0.2.1/32,"),
    "colons": repeated(":"),
    "a date": repeated("1", head="2026-01-01T00:00:00.", tail="Z"),
    # Escapes, quotes, brackets.
    "escaped quotes": repeated('\\"'),
    "quotes": repeated('"'),
    "apostrophes": repeated("'"),
    "backslashes": repeated("\\"),
    "brackets": repeated("["),
    "closed brackets": repeated("[]"),
    "braces": repeated("{"),
    "parentheses": repeated("("),
    "angles": repeated("<a "),
    # Separators.
    "spaces": repeated(" "),
    "spaces before a letter": repeated(" ", tail="x"),
    "spaces around": repeated(" ", head="x", tail="x"),
    "lines": repeated("\n"),
    "returns and lines": repeated("a\r\n"),
    "tabs": repeated("\t"),
    "nulls": repeated("\0"),
    "commas": repeated(","),
    "commas and letters": repeated("a,"),
    "pairs": repeated("a=b,"),
    "equals": repeated("="),
    "ampersands": repeated("a=b&"),
    "semicolons": repeated("a=b;"),
    "dashes": repeated("-"),
    "underscores": repeated("_"),
    "words and a fault": repeated("a", tail="!"),
    "words and dashes": repeated("a-"),
    # Paths, names, URLs.
    "slashes": repeated("/"),
    "dots": repeated("."),
    "parents": repeated("../"),
    "parents after names": repeated("a/../"),
    "segments": repeated("a/"),
    "percent signs": repeated("%"),
    "percent codes": repeated("%41"),
    "percent codes of percent codes": repeated("%25"),
    "wildcards": repeated("*"),
    "letters and wildcards": repeated("a*"),
    "segments of wildcards": repeated("+/"),
    "hosts": repeated("a.", head="https://"),
    "users": repeated("a@", head="https://"),
    "queries": repeated("?a#", head="https://a/"),
    "names": repeated("CN=a,"),
    # Letters.
    "letters": repeated("a"),
    "capitals": repeated("A"),
    "combining letters": repeated("\u0301", head="a"),
    "composed letters": repeated("a\u0301\u0323"),
    "ligatures": repeated("\ufdfa"),
    "letters that grow": repeated("\u0130"),
    "emoji": repeated("\U0001f511"),
    # Encodings and tokens.
    "base64": repeated("QUFB"),
    "base64 in lines": repeated("QUFB\n"),
    "base64 and a fault": repeated("QUFB", tail="*"),
    "hexadecimal": repeated("0f"),
    "PEM heads": repeated("-----BEGIN CERTIFICATE-----\n"),
    "PEM certificates": repeated(_PEM),
    "PEM keys": repeated(_KEY),
    "a PEM certificate": repeated("QUFB\n", head="-----BEGIN CERTIFICATE-----\n", tail="-----END CERTIFICATE-----\n"),
    "PGP": repeated("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n"),
    "tokens": repeated("s."),
    "a service token": repeated("a", head="s."),
    "a batch token": repeated("QUFB", head="hvb."),
    "a Biscuit": repeated("QUFB", head="biscuit:"),
    "parts of a JWT": repeated("a."),
    "a JWT": repeated("QUFB", head=f"{_JWT_HEAD}.e30."),
    "a JWT of claims": repeated("QUFB", head=f"{_JWT_HEAD}.", tail=".QUFB"),
    # Languages.
    "JSON objects": repeated('{"a":'),
    "JSON lists": repeated("["),
    "JSON numbers": repeated("1", head='{"a":', tail="}"),
    "a JSON string without end": repeated('\\"', head='{"a":"'),
    "HCL blocks": repeated('path "a/b" { capabilities = ["read"] }\n'),
    "HCL blocks without end": repeated("a {"),
    "HCL items": repeated("a=1\n"),
    "HCL lists": repeated("1,", head="a = [", tail="]"),
    "HCL strings": repeated("${", head='a = "'),
    "HCL comments": repeated("/*"),
    "HCL documents": repeated("<<A\n", head="a = "),
    "HCL numbers": repeated("1", head="a = "),
    "HCL characters": repeated('rule "charset" { charset = "abc" min-chars = 1 }\n', head="length = 20\n"),
    "HCL wrapping": repeated("1", head='path "a" { capabilities = ["read"] min_wrapping_ttl = "', tail='" }'),
    "CEL sums": repeated("a+", tail="a"),
    "CEL negations": repeated("!", tail="a"),
    "CEL members": repeated("a.", tail="a"),
    "CEL calls": repeated("size("),
    "CEL choices": repeated("a?b:", tail="c"),
    "templates": repeated("{{identity.entity.id}}"),
    "templates without end": repeated("{{"),
    "regular expressions": repeated("(a+)+"),
    "classes": repeated("[a-"),
    "choices": repeated("a|"),
    "datalog": repeated('check if a("b");'),
}  # fmt: skip
"""Texts by what they are made of, with Unicode and control characters among them."""

HEADERS = (
    "x-vault-token", "authorization", "x-vault-wrap-ttl", "x-vault-namespace", "x-vault-wrap-format", "x-vault-mfa",
    "x-vault-index", "x-vault-inconsistent", "x-vault-list-filter", "x-vault-no-request-forwarding",
    "x-vault-policy-override", "x-vault-inline-auth-path", "x-vault-inline-auth-operation",
    "x-vault-inline-auth-namespace", "x-vault-inline-auth-parameter-a", "x-vault-anything", "dpop", "accept",
    "content-type", "cookie", "origin", "access-control-request-method", "access-control-request-headers", "forwarded",
    "x-forwarded-for", "x-real-ip", "user-agent", "if-none-match", "if-modified-since", "x-anything",
)  # fmt: skip
"""Every header that is read somewhere, and one that is not."""


def shown(text: str) -> str:
    """A text as a header can have it."""
    return re.sub(
        r"[\x00-\x08\x0a-\x1f\x7f]", " ", text.encode("utf-8", "surrogatepass").decode("latin-1")
    ).strip()


_COUNT = 900
"""Strings of a list or an object: nearly as many as a body may have."""


def _strings(length: int, make: Callable[[int], str]) -> list[str]:
    return [make(number) for number in range(_COUNT)] if length >= _COUNT * 8 else [make(0)]


VALUES: Mapping[str, Value] = {
    "many strings": lambda n: _strings(n, lambda i: f"{i}".ljust(n // _COUNT - 3, "a")),
    "many pairs": lambda n: _strings(n, lambda i: f"{i}=".ljust(n // _COUNT - 3, "b")),
    "many paths": lambda n: _strings(n, lambda i: f"{i}/".ljust(n // _COUNT - 3, "a")),
    "many addresses": lambda n: _strings(n, lambda i: f"192.0.{i % 250}.0/24"),
    "many PEM certificates": lambda n: [_PEM] * min(_COUNT, n // 70 + 1),
    "many numbers": lambda n: [1] * (n // 2),
    "many large numbers": lambda n: [10**17] * (n // 19),
    "many nothings": lambda n: [None] * (n // 5),
    "many lists": lambda n: [[]] * (n // 3),
    "many objects": lambda n: [{}] * (n // 3),
    "many members": lambda n: {f"{i}": 1 for i in range(min(_COUNT, n // 6 + 1))},
    "long members": lambda n: {f"{i}".ljust(n // _COUNT, "a"): "b" for i in range(_COUNT // 2)},
    "a long member": lambda n: {"a" * n: "b"},
    "a long member of digits": lambda n: {"1" * n: "1"},
    "a long string below": lambda n: {"a": {"b": ["1" * n]}},
    "deep lists": lambda n: json.loads("[" * 90 + '"' + "a" * n + '"' + "]" * 90),
    "deep objects": lambda n: json.loads('{"a":' * 90 + '"' + "a" * n + '"' + "}" * 90),
}
"""JSON values that are no text, by what they are made of."""


def _body(piece: bytes, head: bytes = b"", tail: bytes = b"") -> Callable[[int], bytes]:
    return lambda n: head + piece * (n // len(piece)) + tail


BODIES: Mapping[str, Callable[[int], bytes]] = {
    "nothing but spaces": _body(b" "),
    "a string without end": _body(b'\\"', b'{"a":"'),
    "a string of escapes": _body(b"\\u0041", b'{"a":"', b'"}'),
    "a string of surrogates": _body(b"\\ud83d\\udd11", b'{"a":"', b'"}'),
    "a string that is no text": _body(b"\xff", b'{"a":"', b'"}'),
    "brackets": _body(b"["),
    "brackets that close": _body(b"[],", b'{"a":[', b"1]}"),
    "objects without end": _body(b'{"a":'),
    "one member over and over": _body(b'"a":1,', b"{", b'"a":1}'),
    "numbers as long as may be": _body(b"1" * 308 + b",", b'{"a":[', b"1]}"),
    "a number": _body(b"1", b'{"a":', b"}"),
    "a fraction": _body(b"1", b'{"a":0.', b"}"),
    "zeros": _body(b"0,", b'{"a":[', b"0]}"),
    "commas": _body(b",", b'{"a":[', b"]}"),
    "quotes": _body(b'"'),
    "backslashes": _body(b"\\", b'{"a":"', b'"}'),
    "a byte order mark over and over": _body(b"\xef\xbb\xbf"),
    "words": _body(b"null,", b'{"a":[', b"null]}"),
}
"""Bodies that should be JSON."""

FORMS: Mapping[str, Callable[[int], bytes]] = {
    "percent codes": _body(b"%41"),
    "percent codes in a value": _body(b"%41", b"a="),
    "broken percent codes": _body(b"%", b"a="),
    "one name over and over": _body(b"a=b&"),
    "one name with long values": lambda n: (b"a=" + b"b" * max(1, n // 900 - 3) + b"&") * 900,
    "ampersands": _body(b"&"),
    "plus signs": _body(b"+", b"a="),
    "equals": _body(b"="),
}
"""Bodies that should be forms, and queries."""

WORST = frozenset(
    {
        # of the texts
        "digits", "durations without end", "escaped quotes", "parents after names", "composed letters",
        "base64 and a fault", "PEM certificates", "JSON objects", "HCL blocks", "HCL strings", "quotes", "emoji",
        # of the values
        "many strings", "many pairs", "many large numbers", "many objects",
        # of the bodies
        "a string without end", "a string of surrogates", "brackets that close", "objects without end",
        "numbers as long as may be",
        # of the forms
        "one name with long values", "percent codes in a value",
    }
)  # fmt: skip
"""What took longest of each kind when all was measured, and what parsers once took a minute over."""
