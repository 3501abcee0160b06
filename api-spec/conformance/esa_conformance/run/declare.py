# SPDX-License-Identifier: Apache-2.0
"""Tests are functions that say of themselves which requirements they judge, and what they need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from esa_conformance.run.trial import Trial

Cls = Literal["read-only", "mutating", "disruptive"]
Need = Literal["kv", "admin", "denied", "seal_key", "openssl", "records", "checkpoints", "tls"]
Body = Callable[[Trial], None]
CORE: Final = "core"


@dataclass(frozen=True)
class Test:
    """One test. `id` is the function's name; `requirements` begins with the one that it is for.

    `needs` are credentials, hooks and artefacts of the manifest, and `tls` a target that is reached through it. `provisional` ones count in no claim.
    """

    id: str
    requirements: tuple[str, ...]
    feature: str
    cls: Cls
    needs: tuple[Need, ...]
    evidence: str
    since: str
    provisional: bool
    text: str
    body: Body

    @property
    def core(self) -> bool:
        """Whether it belongs to no feature."""
        return self.feature == CORE


class Tests:
    """The tests of one area, in the order in which they are written."""

    def __init__(self) -> None:
        self._tests: list[Test] = []

    def __iter__(self) -> Iterator[Test]:
        return iter(self._tests)

    def test(
        self,
        requirement: str,
        *,
        also: Sequence[str] = (),
        feature: str = CORE,
        cls: Cls = "mutating",
        needs: Sequence[Need] = ("kv",),
        evidence: str = "http",
        since: str = "1.0",
        provisional: bool = False,
    ) -> Callable[[Body], Body]:
        """Declare a test of a requirement. Its docstring says in one sentence what is asked."""

        def declare(body: Body) -> Body:
            made = Test(
                body.__name__, (requirement, *also), feature, cls, tuple(needs), evidence, since, provisional,
                (body.__doc__ or "").strip(), body,
            )  # fmt: skip
            self._tests.append(made)
            return body

        return declare
