# SPDX-License-Identifier: EUPL-1.2
"""What the server states of requests, as the library has it: what was stated before is not parsed again."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from nhi.biscuit.offline.guard import StatedFact, Term, stated_fact

_KEPT: Final = 512
"""Facts that are remembered: operations, times, paths, addresses."""
_LONGEST: Final = 512
"""Characters of the longest text in one of them."""


class StatedFacts:
    """Facts of one term by what they say. They are of requests: whoever has them forgets them with a seal."""

    def __init__(self) -> None:
        self._known = lru_cache(_KEPT)(stated_fact)
        self.forget: Final = self._known.cache_clear
        """Forget all of them."""

    def of(self, name: str, term: Term) -> StatedFact | None:
        """Return the fact that says `term`; None for what cannot be stated."""
        short = len(term) <= _LONGEST if isinstance(term, str) else not isinstance(term, frozenset)
        return self._known(name, term) if short else stated_fact(name, term)

    def __len__(self) -> int:
        """Return how many facts are kept."""
        return self._known.cache_info().currsize
