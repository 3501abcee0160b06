# SPDX-License-Identifier: EUPL-1.2
"""The names in a listing that lead to something that the caller may read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.errors import Malformed
from vault.policy.decision.acl import Acl
from vault.policy.decision.merge import MergedRule
from vault.policy.model import Capability

_ANY: Final = "~"
"""Stands for any segment that no rule names."""
_MOST_TRIED: Final = 250_000
"""Examples that are tried for one listing, about two seconds of work: so many need hundreds of rules with `+`, and hundreds
of folders in which none of them lets anything be read."""
_PER_NAME: Final = 32
"""How many more are tried for each name, so that a long listing is no reason to refuse it."""
_STRETCH: Final = 128
"""Characters of an example that cost as much as to ask about a short one."""
_LONGEST: Final = 1 << 16
"""Characters of a path: the head of a request has no more bytes, so that nothing at a longer path is ever read."""


async def readable(acl: Acl, base: str, keys: Sequence[str], *, now: float) -> list[str]:
    """Return those of `keys`, listed below `base` (which ends in `/`), that may be read; `now` is Unix time.

    A folder is shown when some path in it may be read, even if there is no entry at that path. Others have their turns
    meanwhile. Raises `Malformed` where there are too many folders for so many rules.
    """
    if acl.root:
        return list(keys)
    folders = [key.count("/") for key in keys if key.endswith("/")]
    search = _Search(acl, base, now, _MOST_TRIED + _PER_NAME * len(keys))
    if folders:
        await search.prepare(max(folders))
    return [key for key in keys if await search.finds(key)]


class _Folder:
    """What a base's granting rules have in a folder: the rules that lead into it, and those of the folders in it."""

    __slots__ = ("any", "named", "rules")

    def __init__(self) -> None:
        self.named: dict[str, _Folder] = {}
        self.any: _Folder | None = None
        self.rules: list[list[str]] = []

    def follow(self, segment: str) -> _Folder:
        """Return the folder of a segment, `+` for any, made if it is new."""
        if segment == "+":
            self.any = self.any or _Folder()
            return self.any
        return self.named.setdefault(segment, _Folder())


class _Search:
    """The readable names below one base."""

    def __init__(self, acl: Acl, base: str, now: float, most: int) -> None:
        self._acl = acl
        self._base = base
        self._now = now
        self._left = most
        self._top = _Folder()
        self._deepest = 0
        self._turn = TimeSlice()

    async def prepare(self, levels: int) -> None:
        """Sort the rules by the folders that they lead into, up to so many levels below the base."""
        base = self._base.split("/")[:-1]
        rules: Mapping[str, MergedRule] = self._acl.rules  # replaced, never changed, when rules expire
        for path, merged in rules.items():
            if len(path) <= _LONGEST:
                rule = path.split("/")
                if _meets(rule, base):
                    self._deepest = max(self._deepest, len(rule))
                    if merged.grants(Capability.READ):
                        self._sort(rule[len(base) :], levels)
            if self._turn.over:
                await self._turn.step()

    def _sort(self, rest: list[str], levels: int) -> None:
        """Put a granting rule into each folder that it names a path in; `rest` is the rule's path below the base."""
        folder = self._top
        for segment in rest[: min(levels, len(rest) - 1)]:
            folder = folder.follow(segment)
            folder.rules.append(rest)

    async def finds(self, key: str) -> bool:
        """Whether a name may be read. For a folder one example of each kind of path that the rules tell apart is tried."""
        path = self._base + key
        if not key.endswith("/"):
            return await self._allows(path)
        more = self._deepest - path.count("/") + 2
        for rest in self._examples(key):
            if len(path) + len(rest) <= _LONGEST and await self._allows_below(path + rest, more):
                return True
        return False

    def _examples(self, key: str) -> Iterator[str]:
        """Yield the folder itself, which is empty, then an example of what each rule that leads into it may cover there."""
        yield ""
        *segments, _ = key.split("/")
        inside = [self._top]
        for segment in segments:
            near = [(folder.named.get(segment), folder.any) for folder in inside]
            inside = [folder for pair in near for folder in pair if folder is not None]
        for folder in inside:
            for rule in folder.rules:
                own = rule[len(segments) :]
                yield "/".join([_ANY if segment == "+" else segment.removesuffix("*") for segment in own])

    async def _allows_below(self, start: str, more: int) -> bool:
        """Whether a path may be read that begins so and has fewer than `more` further segments that no rule names."""
        asked = start
        for number in range(more):
            if number:
                asked = f"{asked}/{_ANY}" if number > 1 else f"{start}{_ANY}"
            if len(asked) > _LONGEST:
                break
            if not asked.endswith("/") and await self._allows(asked):
                return True
        return False

    async def _allows(self, path: str) -> bool:
        """Whether a path may be read. Raises `Malformed` where too many were asked about."""
        self._left -= 1 + len(path) // _STRETCH
        if self._left < 0:
            raise Malformed(
                "X-Vault-List-Filter: there are too many folders for so many rules; ask for fewer names at once, by 'limit' "
                "and 'after', or have fewer rules with + in the policies"
            )
        if self._turn.over:
            await self._turn.step()
        return self._acl.check("read", path, now=self._now).allowed


def _meets(rule: Sequence[str], folder: Sequence[str]) -> bool:
    """Whether a rule's path may lead into a folder: one is a prefix of the other, segment by segment."""
    for index, (wanted, segment) in enumerate(zip(rule, folder, strict=False)):
        if index == len(rule) - 1:
            return wanted.endswith("*") and segment.startswith(wanted[:-1].removeprefix("+"))
        if wanted not in {"+", segment}:
            return False
    return True
