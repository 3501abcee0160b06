# SPDX-License-Identifier: EUPL-1.2
"""What moved, what did not, and why: counted by kind, and named wherever something is not as it was."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from vaultctl.port.ground.entry import Name, Outcome
from vaultctl.text.json import as_list, as_map

_SHOWN = 20
KIND = "report"
"""The kind of the entry that ends an archive: what the export did not read, and why."""


class Report:
    """Gathers while a move goes on. It holds paths and reasons, and nothing of what secrets hold."""

    def __init__(self) -> None:
        self._words: dict[Name, str] = {}
        self._outcomes: dict[Name, Outcome] = {}
        self._written = 0
        self._left: dict[tuple[str, str, str], None] = {}
        self._notes: dict[tuple[str, str, str], None] = {}
        self.facts: dict[str, object] = {}

    def count(self, name: Name, outcome: Outcome) -> None:
        """Say what became of an entry, in place of what was said of it before.

        What was written once stays so when it is found unchanged later.
        """
        self._written += outcome.word == "written"
        if outcome.word != "unchanged" or self._words.get(name) != "written":
            self._words[name] = outcome.word
        before = self._outcomes.pop(name, None)
        if before is not None:
            self._left.pop((name.kind, name.text, before.why), None)
            for note in before.notes + before.remarks:
                self._notes.pop((name.kind, name.text, note), None)
        if outcome.why:
            self.leave(name, outcome.why)
        for note in outcome.notes + outcome.remarks:
            self.note(name, note)
        if outcome.why or outcome.notes or outcome.remarks:
            self._outcomes[name] = outcome

    def has(self, name: Name) -> bool:
        """Whether an entry is at the destination, as far as it could be written."""
        return self._words.get(name) in ("written", "unchanged")

    def leave(self, name: Name, why: str) -> None:
        """Say that an entry did not move."""
        self._left[name.kind, name.text, why] = None

    def leave_those(self, other: Report, where: str) -> None:
        """Say as well what another report says that did not move."""
        for kind, path, why in other._left:
            self._left[kind, path, f"{where}: {why}"] = None

    def note(self, name: Name, what: str) -> None:
        """Say what of an entry is not as it was."""
        self._notes[name.kind, name.text, what] = None

    @property
    def complete(self) -> bool:
        """Whether nothing was refused, or left where others have it, or written without some of it."""
        return not self._left and not any(outcome.notes for outcome in self._outcomes.values())

    @property
    def written(self) -> int:
        """How often an entry was written."""
        return self._written

    def begin_pass(self) -> None:
        """Look again: what is left or noted is found again."""
        self._left.clear()
        self._notes.clear()
        self._outcomes.clear()

    def _counts(self) -> dict[str, dict[str, int]]:
        """How many entries of each kind had which outcome."""
        found: dict[str, Counter[str]] = {}
        for name, word in self._words.items():
            found.setdefault(name.kind, Counter())[word] += 1
        return {kind: dict(sorted(counts.items())) for kind, counts in sorted(found.items())}

    def take(self, document: Mapping[str, object]) -> None:
        """Take over what an export did not read: it does not move either."""
        for rows, member, reason in ((self._left, "not_moved", "why"), (self._notes, "not_kept", "what")):
            for row in map(as_map, as_list(document.get(member))):
                rows[str(row.get("kind")), str(row.get("path")), str(row.get(reason))] = None

    def document(self) -> dict[str, object]:
        """The report for programs."""
        return {
            **self.facts,
            "entries": self._counts(),
            "not_moved": [{"kind": kind, "path": path, "why": why} for kind, path, why in self._left],
            "not_kept": [{"kind": kind, "path": path, "what": what} for kind, path, what in self._notes],
        }

    def text(self) -> str:
        """The report for people; long lists are cut, and say so."""
        lines = [line for name, value in self.facts.items() for line in _fact(name, value)]
        for kind, counts in self._counts().items():
            lines.append(f"{kind}: " + ", ".join(f"{number} {word}" for word, number in counts.items()))
        lines += _section("Did not move", list(self._left))
        lines += _section("Moved, and not as it was", list(self._notes))
        return "\n".join(lines)


def _fact(name: str, value: object) -> list[str]:
    """One line, or one for each member and one more in front."""
    rows: list[str] = []
    if isinstance(value, dict):
        rows = [f"  {member}: {_words(inner)}" for member, inner in value.items()]
    elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
        rows = [f"  {_words(one)}" for one in value[:_SHOWN]]
        rows += [f"  and {len(value) - _SHOWN} more"] if len(value) > _SHOWN else []
    return [f"{name}:", *rows] if rows else [f"{name}: {_words(value)}"]


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _section(title: str, rows: list[tuple[str, str, str]]) -> list[str]:
    if not rows:
        return []
    lines = ["", f"{title} ({len(rows)}):"]
    lines += [f"  {kind} {path}: {what}" for kind, path, what in rows[:_SHOWN]]
    if len(rows) > _SHOWN:
        lines.append(f"  and {len(rows) - _SHOWN} more; -format=json names all")
    return lines
