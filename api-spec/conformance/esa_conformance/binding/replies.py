# SPDX-License-Identifier: Apache-2.0
"""What an answer means in the KV2 dialect."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from esa_conformance.wire.answer import Answer


@dataclass(frozen=True)
class Reply:
    """An answer, and what the specification's words about it are in this dialect."""

    answer: Answer

    @property
    def status(self) -> int:
        """The status as it came."""
        return self.answer.status

    @property
    def ok(self) -> bool:
        """The request was done."""
        return self.answer.ok

    @property
    def denied(self) -> bool:
        """The caller may not."""
        return self.status == 403

    @property
    def unknown_caller(self) -> bool:
        """The credential is none."""
        return self.status in {401, 403}

    @property
    def absent(self) -> bool:
        """There is nothing, whatever the body says."""
        return self.status == 404

    @property
    def refused_stale(self) -> bool:
        """A check was not the current version."""
        return self.status in {400, 412}

    @property
    def malformed(self) -> bool:
        """The body is not what it should be."""
        return self.status == 400

    @property
    def too_large(self) -> bool:
        """The body is larger than the server takes; it may have closed the connection before reading it."""
        return self.status in {0, 400, 413}

    @property
    def not_served(self) -> bool:
        """There is no such operation here."""
        return self.status in {404, 405, 501}

    @property
    def data(self) -> Any:  # noqa: ANN401 - a decoded answer is anything
        """The value of a secret that was read; the members of any other answer."""
        outer = self.answer.member("data")
        if isinstance(outer, dict) and isinstance(outer.get("metadata"), dict) and "data" in outer:
            return outer["data"]
        return outer

    @property
    def version(self) -> int | None:
        """The version that was read or written."""
        outer = self.answer.member("data")
        found = outer if not isinstance(outer, dict) or "version" in outer else outer.get("metadata")
        value = found.get("version") if isinstance(found, dict) else None
        return value if isinstance(value, int) else None

    @property
    def keys(self) -> list[str]:
        """The names of a list; none where there is nothing."""
        found = self.answer.member("data", "keys")
        return [str(one) for one in found] if isinstance(found, list) else []

    @property
    def token(self) -> str:
        """The credential that was given; empty where there is none."""
        return str(self.answer.member("auth", "client_token") or "")

    @property
    def accessor(self) -> str:
        """The accessor of the credential that was given."""
        return str(self.answer.member("auth", "accessor") or "")

    @property
    def wrapping_token(self) -> str:
        """What gives a wrapped answer."""
        return str(self.answer.member("wrap_info", "token") or "")

    @property
    def without_request(self) -> object:
        """The body without what differs from request to request, to compare two answers."""
        decoded = self.answer.json
        if isinstance(decoded, dict):
            return {name: value for name, value in decoded.items() if name != "request_id"}
        return self.answer.body
