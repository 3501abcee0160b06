# SPDX-License-Identifier: EUPL-1.2
"""Names of entities are asked for with the reader's token, few on a page, and none after a refusal."""

from tests.unit.ui.house import shown
from tests.unit.ui.log_house import RECORD, log_front
from vault.ui.views.log.names import MOST
from vault.ui.views.log.search import log


def _of(*entities: str) -> list[object]:
    return [{**RECORD, "actor": {"id": one, "type": "entity"}} for one in entities]


def _asked(front: object) -> list[str]:
    paths = [path for _, path, *_ in front.asked]  # type: ignore[attr-defined]  # a Front
    return [path.removeprefix("identity/entity/id/") for path in paths if path.startswith("identity/")]


def test_after_a_refusal_no_further_name_is_asked_for() -> None:
    front = log_front(*_of("e-1", "e-2"))
    front.answers["identity/entity/id/e-1"] = (403, {})
    shown(log, front)
    assert _asked(front) == ["e-1"]


def test_an_entity_that_is_gone_leaves_the_others_their_names() -> None:
    front = log_front(*_of("e-1", "e-2"))
    front.answers["identity/entity/id/e-2"] = (200, {"data": {"name": "ann"}})
    assert ">ann</a>" in shown(log, front)
    assert _asked(front) == ["e-1", "e-2"]


def test_an_entity_that_nobody_named_is_called_what_it_logs_in_as() -> None:
    front = log_front(*_of("e-1"))
    alias = {"name": "bob", "mount_path": "auth/userpass/"}
    front.answers["identity/entity/id/e-1"] = (200, {"data": {"name": "entity_1a2b", "aliases": [alias]}})
    assert ">bob at userpass</a>" in shown(log, front)
    front.answers["identity/entity/id/e-1"] = (200, {"data": {"name": "entity_1a2b"}})
    assert ">entity_1a2b</a>" in shown(log, front)


def test_a_page_asks_for_so_many_names_and_for_none_that_is_a_path() -> None:
    front = log_front(*_of("../x", *(f"e-{number}" for number in range(MOST + 5))))
    shown(log, front)
    assert _asked(front) == [f"e-{number}" for number in range(MOST)]
