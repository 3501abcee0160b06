# SPDX-License-Identifier: EUPL-1.2
"""What Terraform does with a resource: attributes and their state, plans, apply, refresh, import."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tests.integration.terraform.calls import Client

Kind = Literal["text", "number", "flag", "list", "set", "map", "json"]
State = dict[str, Any]
_ZERO: Mapping[str, Any] = {
    "text": "", "number": 0, "flag": False, "list": [], "set": [], "map": {}, "json": "",
}  # fmt: skip


@dataclass(frozen=True)
class Attr:
    """An attribute of a resource. One that is `computed` keeps what was read where nothing is configured."""

    kind: Kind = "text"
    default: Any = None
    computed: bool = False

    def shaped(self, value: Any) -> Any:
        """`value` as the state holds it: null is the kind's zero, sets have no order, JSON one spelling."""
        if value is None or value == "":
            return _ZERO[self.kind]
        if self.kind == "set":
            return sorted(value)
        if self.kind == "json":
            return json.dumps(json.loads(value) if isinstance(value, str) else value, sort_keys=True)
        return value


TEXT, NUMBER, FLAG = Attr(), Attr("number"), Attr("flag")
LIST, SET, MAP, JSON = Attr("list"), Attr("set"), Attr("map"), Attr("json")
COMPUTED = Attr(computed=True)


class Data:
    """What a resource is to be, what it was before, and so what a request has to say."""

    def __init__(self, schema: Mapping[str, Attr], config: State, prior: State | None) -> None:
        self.new = prior is None
        self.planned = planned(schema, config, prior)
        self._prior = {name: attr.shaped(None) for name, attr in schema.items()} | (prior or {})

    def __getitem__(self, name: str) -> Any:
        return self.planned[name]

    def given(self, *names: str) -> State:
        """Those of `names` that are anything but their kind's zero."""
        return {name: self[name] for name in names if self[name] not in ("", 0, [], {})}

    def always(self, *names: str) -> State:
        """All of `names`, zero or not."""
        return {name: self[name] for name in names}

    def changed(self, *names: str) -> State:
        """Those of `names` that change."""
        return {name: self[name] for name in names if self[name] != self._prior[name]}

    def before(self, name: str) -> Any:
        """What the attribute was."""
        return self._prior[name]


def planned(schema: Mapping[str, Attr], config: State, prior: State | None) -> State:
    """The state that `config` asks for."""
    unknown = config.keys() - schema.keys()
    assert not unknown, f"no such attributes: {sorted(unknown)}"
    wanted = {}
    for name, attr in schema.items():
        value = config.get(name, attr.default)
        if value is None and attr.computed and prior is not None:
            value = prior.get(name)
        wanted[name] = attr.shaped(value)
    return wanted


@dataclass(frozen=True)
class Held:
    """What Terraform's state has of a resource."""

    id: str
    state: State


class Resource:
    """A kind of resource. `create` and `update` give its id, `read` what was read, or None where it is gone."""

    name: str
    schema: Mapping[str, Attr]
    asks_first = False
    """Whether a refresh first asks whether it is there, with a read of its own."""
    reads_after = True
    """Whether a create or update ends with a read."""

    def create(self, client: Client, data: Data) -> str:
        raise NotImplementedError

    def read(self, client: Client, id: str, state: State) -> State | None:
        raise NotImplementedError

    def update(self, client: Client, id: str, data: Data) -> str:
        raise NotImplementedError

    def delete(self, client: Client, held: Held) -> None:
        raise NotImplementedError

    def differs(self, config: State, held: Held) -> set[str]:
        """A plan: the names of the attributes that an apply would change."""
        wanted = planned(self.schema, config, held.state)
        return {name for name, value in wanted.items() if value != held.state[name]}

    def apply(self, client: Client, config: State, held: Held | None = None) -> Held:
        """Make it, or make it so."""
        data = Data(self.schema, config, held.state if held else None)
        id = self.update(client, held.id, data) if held else self.create(client, data)
        if not self.reads_after:
            return Held(id, data.planned)
        fresh = self.read(client, id, data.planned)
        assert fresh is not None, f"{self.name}: gone as soon as it was written"
        return self._held(id, data.planned, fresh)

    def refresh(self, client: Client, held: Held) -> Held | None:
        """Read it again; None where it is gone."""
        if self.asks_first and self.read(client, held.id, held.state) is None:
            return None
        fresh = self.read(client, held.id, held.state)
        return None if fresh is None else self._held(held.id, held.state, fresh)

    def imported(self, client: Client, id: str) -> Held | None:
        """Take in by its id what is there already."""
        return self.refresh(client, Held(id, {name: attr.shaped(None) for name, attr in self.schema.items()}))

    def _held(self, id: str, state: State, fresh: State) -> Held:
        shaped = {name: self.schema[name].shaped(value) for name, value in fresh.items()}
        return Held(id, state | shaped)
