# SPDX-License-Identifier: EUPL-1.2
"""Kinds of resource that are one path each: written, read and deleted there. Most are."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.integration.terraform.calls import Client, data
from tests.integration.terraform.model import FLAG, MAP, NUMBER, SET, Attr, Data, Held, Resource, State

Body = Callable[[Data], State]
_HOLE = re.compile(r"\\\{(\w+)\\\}")


@dataclass(frozen=True, kw_only=True)
class Entry(Resource):
    """A path with attributes in it, such as ``auth/{backend}/role/{role_name}``."""

    name: str
    path: str
    schema: Mapping[str, Attr]
    creates: Body
    updates: Body | None = None
    """How the body of an update is built; without it as that of a create."""
    reads: Sequence[str] = ()
    """The attributes that are set from fields of the answer with the same name."""
    id: str = ""
    """The form of the id where it is not the path."""
    asks_first: bool = False
    reads_after: bool = True
    deletes: bool = True
    """Whether deleting it sends anything."""
    addresses: Sequence[str] = field(default_factory=tuple)
    """Attributes of which an address in an answer is a network of one address, unless the state has it as it is."""

    def create(self, client: Client, data: Data) -> str:
        client.write(self.path.format(**data.planned), self.creates(data))
        return (self.id or self.path).format(**data.planned)

    def read(self, client: Client, id: str, state: State) -> State | None:
        named = self.parts(id)
        secret = client.read(self.path.format(**named))
        if secret is None:
            return None
        answer = data(secret)
        found = {name: answer.get(name) for name in self.reads}
        for name in self.addresses:
            known = state[name]
            found[name] = [
                each if "/" in each or each in known else f"{each}/32" for each in answer.get(name) or ()
            ]
        return {**found, **named}

    def update(self, client: Client, id: str, data: Data) -> str:
        client.write(self.path.format(**self.parts(id)), (self.updates or self.creates)(data))
        return id

    def delete(self, client: Client, held: Held) -> None:
        if self.deletes:
            client.delete(self.path.format(**self.parts(held.id)))

    def parts(self, id: str) -> dict[str, str]:
        """The attributes that an id names."""
        form = _HOLE.sub(r"(?P<\1>.+)", re.escape(self.id or self.path))
        found = re.fullmatch(form, id)
        assert found, f"{self.name}: {id!r} is no id of the form {self.id or self.path}"
        return found.groupdict()


TOKEN: dict[str, Attr] = {
    "token_bound_cidrs": SET,
    "token_max_ttl": NUMBER,
    "token_ttl": NUMBER,
    "token_explicit_max_ttl": NUMBER,
    "token_no_default_policy": FLAG,
    "token_period": NUMBER,
    "token_policies": SET,
    "token_type": Attr(default="default"),
    "token_num_uses": NUMBER,
    "alias_metadata": MAP,
}
"""What every kind of role says of the tokens that it makes."""


def token_fields(data: Data) -> State:
    """What a role's create or update says of its tokens: what is given, later what changes."""
    if not data.new:
        return data.changed(*TOKEN)
    return data.given(*TOKEN) | data.always("token_no_default_policy")
