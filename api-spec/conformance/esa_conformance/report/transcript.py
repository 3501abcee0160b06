# SPDX-License-Identifier: Apache-2.0
"""Transcripts of what was sent and answered, in which no secret stands."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from esa_conformance.decoding import json_of
from esa_conformance.errors import ConformanceError, TooDeep
from esa_conformance.wire.answer import Answer
from esa_conformance.wire.transport import Request

_SECRET_MEMBERS: Final = frozenset({
    "token", "client_token", "secret_id", "secret_id_accessor", "key", "keys_base64", "accessor", "password", "id",
    "wrapped_accessor", "role_id", "unseal_key",
})  # fmt: skip
_CLEAR_HEADERS: Final = frozenset({
    "content-type", "content-length", "cache-control", "date", "retry-after", "location", "allow", "etag", "deprecation",
    "sunset", "accept", "if-match", "if-none-match", "traceparent", "x-vault-namespace", "x-vault-wrap-ttl", "vary", "log-receipt",
})  # fmt: skip
_CLEAR_PARAMETERS: Final = frozenset({"version", "after", "limit", "list", "x-unknown"})
_MOST_BYTES: Final = 1 << 16
"""Of a body: what is longer is told by its length alone."""


class Transcript:
    """A file with a line for each exchange. Safe for threads.

    `secrets` are looked for at the end, together with all credentials that the server gave.
    """

    def __init__(self, path: Path, canary: str, secrets: Collection[str]) -> None:
        self._path = path
        self._canary = canary
        self._secrets = {canary, *secrets}
        self._lock = threading.Lock()
        self._file = path.open("w", encoding="utf-8")

    def note(self, test: str, request: Request, answer: Answer, seconds: float) -> None:
        """Write one exchange of a test."""
        line = {
            "test": test,
            "method": request.method,
            "target": self._target(request.target),
            "headers": self._headers(request.headers),
            "body": self._body(request.body or b""),
            "status": answer.status,
            "answer_headers": self._headers(answer.headers),
            "answer": self._body(answer.body),
            "ms": round(seconds * 1000),
        }
        given = _given(answer)
        with self._lock:
            self._secrets |= {str(one) for one in given if one}
            self._file.write(json.dumps(line) + "\n")

    def finish(self) -> None:
        """Close the file and look through it again. Raises ConformanceError, and removes it, where a secret stands in it."""
        self._file.close()
        text = self._path.read_text(encoding="utf-8")
        if any(secret in text for secret in self._secrets):
            self._path.unlink()
            raise ConformanceError(
                "a secret stood in the transcript, which was removed: this is a fault of the suite"
            )

    def _target(self, target: str) -> str:
        path, mark, query = target.partition("?")
        clear = [
            (name, self._text(value) if name in _CLEAR_PARAMETERS else "<redacted:parameter>")
            for name, value in parse_qsl(query, keep_blank_values=True)
        ]
        return self._text(path) + mark + urlencode(clear, safe="<>:")

    def _headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        return {
            name: self._text(value) if name.lower() in _CLEAR_HEADERS else "<redacted:header>"
            for name, value in headers.items()
        }

    def _body(self, body: bytes) -> Any:  # noqa: ANN401 - a decoded body is anything
        if not body:
            return None
        if len(body) > _MOST_BYTES:
            return f"<redacted:{len(body)} bytes>"
        try:
            return self._clear(json_of(body))
        except (ValueError, TooDeep):
            return f"<redacted:{len(body)} bytes that are no JSON>"

    def _clear(self, value: Any) -> Any:  # noqa: ANN401 - as above
        if isinstance(value, dict):
            return {
                self._text(name): f"<redacted:{name}>"
                if name in _SECRET_MEMBERS and one
                else self._clear(one)
                for name, one in value.items()
            }
        if isinstance(value, list):
            return [self._clear(one) for one in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        return "<redacted:secret>" if any(secret in text for secret in self._secrets) else text


def _given(answer: Answer) -> tuple[object, object]:
    """The credential and what gives a wrapped answer, where an answer has them."""
    try:
        return answer.member("auth", "client_token"), answer.member("wrap_info", "token")
    except TooDeep:
        return None, None
