# SPDX-License-Identifier: EUPL-1.2
"""What a list names and no answer tells does not move, and is said; a configuration that nobody wrote is none."""

from collections.abc import Iterator, Mapping

import pytest

from vaultctl.errors import ApiError
from vaultctl.port.ground.entry import Item
from vaultctl.port.ground.server import Server
from vaultctl.port.settings import identity, policies
from vaultctl.port.settings.plain import Collection
from vaultctl.port.settings.references import References


class _Vague(Server):
    """A server that lists one thing everywhere, and tells nothing of it."""

    def __init__(self) -> None:
        super().__init__(lambda: pytest.fail("nothing is asked over the network"))

    def listing(self, path: str) -> Iterator[tuple[str, object]]:
        yield "x", None

    def read(self, path: str, query: Mapping[str, str | list[str]] | None = None) -> dict[str, object] | None:
        return None


def _items(kind: str) -> list[Item]:
    server = _Vague()
    references = References(server, "")
    found = {
        "quota": lambda: Collection("quota", "sys/quotas/rate-limit/").items(server, "", lambda *_: None),
        "entity": lambda: identity.entities(server, ""),
        "group": lambda: identity.groups(server, "", references),
        "policy": lambda: policies.Reader(server, "", references).first(),
    }[kind]()
    return [item for item in found if item.name.kind == kind]


@pytest.mark.parametrize("kind", ["quota", "entity", "group", "policy"])
def test_what_is_listed_and_not_told_is_refused(kind: str) -> None:
    (item,) = _items(kind)
    with pytest.raises(ApiError) as refused:
        item.load()
    assert refused.value.status == 404
    assert "it is listed" in refused.value.errors[0]


def test_a_configuration_that_is_not_there_is_none() -> None:
    (item,) = Collection("cors", "sys/config/cors").items(_Vague(), "", lambda *_: None)
    assert item.load() is None
