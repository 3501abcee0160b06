# SPDX-License-Identifier: EUPL-1.2
"""What is done with a resource in one life: made, changed, imported, changed and removed behind Terraform's back, deleted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.integration.terraform.calls import MERGE_PATCH, Call, Client, Refused, Where, start
from tests.integration.terraform.model import Held, Resource, State

Known = Mapping[str, Any]
"""What was prepared for a story: accessors, ids."""


@dataclass(frozen=True)
class Behind:
    """A request of somebody else's. ``{id}`` in its path is the resource's id; its body may be a function of what is known."""

    method: str
    path: str
    body: object | Callable[[Known], object] = None

    def send(self, client: Client, held: Held, known: Known) -> None:
        """Send it; it must not be refused."""
        body = self.body(known) if callable(self.body) else self.body
        kind = MERGE_PATCH if self.method == "PATCH" else ""
        answer = client.send(self.method, self.path.format(id=held.id), body, kind=kind)
        assert answer.status < 400, answer


def wrote(path: str, body: object | Callable[[Known], object]) -> Behind:
    """Somebody else writes."""
    return Behind("PUT", path, body)


def posted(path: str, body: object) -> Behind:
    """Somebody else writes, as the library does to system paths."""
    return Behind("POST", path, body)


def patched(path: str, body: object) -> Behind:
    """Somebody else patches."""
    return Behind("PATCH", path, body)


def deleted(path: str) -> Behind:
    """Somebody else deletes."""
    return Behind("DELETE", path)


def nothing(_client: Client) -> Known:
    """Prepares nothing."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Story:
    """A resource and its configurations. Those that need what was prepared are functions of it."""

    resource: Resource
    first: State | Callable[[Known], State]
    second: State | Callable[[Known], State] | None = None
    """What it is changed to, and back from; None where every change makes another one."""
    needs: Callable[[Client], Known] = nothing
    drift: Behind | None = None
    """Changes it behind Terraform's back."""
    drifted: Sequence[str] = ()
    """What the plan then shows."""
    sticky: Sequence[str] = ()
    """What the provider does not take back where a configuration no longer names it: on any server."""
    unread: Sequence[str] = ()
    """What every plan shows, because no server answers it: such a configuration is never settled."""
    unimported: Sequence[str] = ()
    """What the plan after an import shows, because no read tells it."""
    imports: bool = True
    remove: Behind | None = None
    """Removes it behind Terraform's back; without it as the resource itself deletes it."""
    lasts: bool = False
    """Whether it cannot be removed: a read finds it after its deletion."""
    empties: Sequence[str] = ()
    """What the plan shows after a removal, where a read finds it empty and not gone."""
    unordered: Sequence[str] = ()
    """Lists in answers, by dotted path, that the provider reads as sets."""
    again: bool = True
    """Whether it can be made again once it was removed."""
    divergences: Mapping[str, str] = field(default_factory=dict)
    """Answers that differ, by the end of their path, as ``api-spec/divergences.md`` says."""
    note: str = ""

    @property
    def key(self) -> str:
        """Which story it is."""
        return self.resource.name.removeprefix("vault_") + (f": {self.note}" if self.note else "")


@dataclass
class Played:
    """What a story did at one server."""

    said: list[Call] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def play(story: Story, where: Where) -> Played:
    """Play `story` at a server; what goes otherwise than it says is a problem."""
    played = Played()
    try:
        client = start(where, played.said)
        client.unordered = story.unordered
        _Life(story, client, played.problems).run()
    except (Refused, AssertionError) as problem:
        played.problems.append(f"after {played.said[-1].step.title()}: {type(problem).__name__} {problem}")
    return played


class _Life:
    def __init__(self, story: Story, client: Client, problems: list[str]) -> None:
        self._story = story
        self._resource = story.resource
        self._client = client
        self._problems = problems
        self._known: Known = {}

    def run(self) -> None:
        story = self._story
        self._known = story.needs(self._client)
        first = self._config(story.first)
        held = self._settled("made", first)
        if story.second is not None:
            held = self._settled("changed", self._config(story.second), held)
            held = self._settled("changed back", first, held, story.sticky)
        if story.imports:
            self._imported(first, held)
        if story.drift:
            held = self._drifted(first, held)
        self._removed(first, held)

    def _config(self, config: State | Callable[[Known], State]) -> State:
        return config(self._known) if callable(config) else config

    def _settled(self, when: str, config: State, held: Held | None = None, left: Sequence[str] = ()) -> Held:
        """Apply, and read again: the plan must then be empty, but for what is `left`."""
        made = self._resource.apply(self._client, config, held)
        read = self._resource.refresh(self._client, made)
        assert read is not None, f"{when}: gone"
        self._plan(when, config, read, left)
        return read

    def _plan(self, when: str, config: State, held: Held, expected: Sequence[str]) -> None:
        shown = self._resource.differs(config, held)
        wanted = {*expected, *self._story.unread}
        if shown != wanted:
            values = {name: held.state[name] for name in shown}
            self._problems.append(f"{when}: the plan shows {values or 'nothing'}, not {sorted(wanted)}")

    def _imported(self, config: State, held: Held) -> None:
        taken = self._resource.imported(self._client, held.id)
        assert taken is not None, "imported: gone"
        self._plan("imported", config, taken, [*self._story.unimported, *self._story.sticky])

    def _drifted(self, config: State, held: Held) -> Held:
        assert self._story.drift
        self._story.drift.send(self._client, held, self._known)
        read = self._resource.refresh(self._client, held)
        assert read is not None, "drifted: gone"
        self._plan("drifted", config, read, [*self._story.drifted, *self._story.sticky])
        return self._settled("mended", config, read, self._story.sticky) if self._story.second else read

    def _removed(self, config: State, held: Held) -> None:
        story = self._story
        if story.remove:
            story.remove.send(self._client, held, self._known)
        else:
            self._resource.delete(self._client, held)
        self._gone("removed", config, held)
        if story.again and not story.lasts:
            again = self._settled("made again", config)
            self._resource.delete(self._client, again)
            self._gone("deleted", config, again)

    def _gone(self, when: str, config: State, held: Held) -> None:
        read = self._resource.refresh(self._client, held)
        if self._story.empties or self._story.lasts:
            assert read is not None, f"{when}: gone"
            self._plan(when, config, read, self._story.empties)
        elif read is not None:
            self._problems.append(f"{when}: still there")
