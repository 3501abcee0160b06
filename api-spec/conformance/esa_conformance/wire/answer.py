# SPDX-License-Identifier: Apache-2.0
"""One answer of the server, as it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from esa_conformance.decoding import json_of


@dataclass(frozen=True)
class Answer:
    """Status 0 means that the server closed the connection while a body was still being sent."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def ok(self) -> bool:
        """Whether the request was done."""
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:  # noqa: ANN401 - a decoded answer is anything
        """The body as JSON, integers with all their digits; None when it is not JSON. Raises TooDeep."""
        return self._decoded(float)

    @property
    def exact_json(self) -> Any:  # noqa: ANN401 - a decoded answer is anything
        """The body as JSON, fractions with all their digits too."""
        return self._decoded(Decimal)

    def _decoded(self, fraction: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return json_of(self.body, fraction=fraction)
        except ValueError:
            return None

    @property
    def media_type(self) -> str:
        """The media type without parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def member(self, *names: str) -> Any:  # noqa: ANN401 - a decoded answer is anything
        """What stands at a path of member names, or None."""
        value = self.json
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return value
