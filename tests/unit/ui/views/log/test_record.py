# SPDX-License-Identifier: EUPL-1.2
"""One record on a page: in words, with every member, and ways to what it has in common with others."""

import re
from html import unescape
from urllib.parse import parse_qs

import pytest

from tests.unit.ui.house import BLOCK, Front, answered, shown
from tests.unit.ui.log_house import DENIED, FORBIDDEN, LOG, RECORD, page_of, record_front
from vault.framework.errors import Malformed
from vault.ui.views.log.record import record


def _asked_for(page: str, words: str) -> dict[str, list[str]]:
    found = re.search(rf'href="([^"]*)">Records of {words}</a>', page)
    assert found, words
    return parse_qs(unescape(found[1]).partition("?")[2])


def test_a_record_is_told_in_a_sentence_and_in_facts() -> None:
    front = record_front(RECORD, 30)
    front.answers["identity/entity/id/e-1"] = (200, {"data": {"name": "ann"}})
    page = shown(record, front, log=LOG, seq="7")
    said = (
        "ann asked for esa.kv.read of secret/shop/pin, version 3: it was done, "
        "by the policy and rule app: secret/data/shop/*."
    )
    assert said in page
    assert "<dt>Allowed by</dt><dd>app: secret/data/shop/*</dd>" in page
    assert '<dd>ann <span class="id why">e-1</span></dd>' in page
    assert "2026-11-27T11:00:00.123456789Z" in page
    refused = shown(record, record_front(DENIED, 30), log=LOG, seq="8")
    assert "it was refused: the rule does not grant delete (app: secret/*)." in refused
    assert "<dt>Decided by</dt><dd>app: secret/*</dd>" in refused
    assert "<dt>Allowed by</dt>" not in refused


def test_every_member_is_shown_with_its_value() -> None:
    page = shown(record, record_front({**RECORD, "later": [True, None, {}], "seq": 7}, 30), log=LOG, seq="7")
    for name, value in (
        ("fields → response → data → $h:h1:AA= → $h", "h1:BB="),
        ("policy → grant → 0 → rule", "secret/data/shop/*"),
        ("later → 0", "true"),
        ("later → 1", "—"),
        ("later → 2", "—"),
        ("seq", "7"),
    ):
        assert (
            f'{name}</span></div></th><td role="cell" data-label="Value"><div><span class="id">{value}'
            in page
        )


def test_links_lead_to_what_has_something_in_common_at_that_time() -> None:
    page = shown(record, record_front(RECORD, 30), log=LOG, seq="7")
    around = {"mount": ["nhi"], "since": ["2026-11-26T23:00:00Z"], "until": ["2026-11-27T23:00:00Z"]}
    for words, name, value in (
        ("the same request", "request_id", "r-1"),
        ("the same trace", "trace_id", "t-1"),
        ("the same actor", "actor", "e-1"),
        ("the same credential", "credential", "acc"),
        ("the same resource", "resource", "secret/shop/pin"),
    ):
        assert _asked_for(page, words) == {**around, name: [value]}
    bare = {"event_name": "esa.server.start", "seq": 0, "phase": "notice", "actor": {"type": "server"}}
    assert "It has nothing in common with others." in shown(record, record_front(bare, 30), log=LOG, seq="0")


def test_a_biscuit_leads_back_to_its_place_in_the_picture_of_the_credential() -> None:
    blocks = [BLOCK, "cd" * 16]
    biscuit = {
        **RECORD,
        "actor": {"id": f"accessor:{blocks[1]}", "type": "token"},
        "credential": {"accessor": blocks[1], "kind": "biscuit", "blocks": blocks, "bound": "dpop"},
    }
    front = record_front(biscuit, 30)
    front.answers[f"credentials/{BLOCK}"] = (200, {"data": {"credential": {"workload": "billing"}}})
    page = shown(record, front, log=LOG, seq="7")
    assert f'href="/ui/credential?mount=nhi&amp;id={BLOCK}#b-{blocks[1]}"' in page
    assert "the workload billing asked for esa.kv.read" in page
    assert "bound to a key (DPoP)" in page
    assert '<a href="/ui/workload?mount=nhi&amp;name=billing">billing</a>' in page
    assert _asked_for(page, "the same credential")["credential"] == [blocks[1]]
    del front.answers[f"credentials/{BLOCK}"]
    unknown = shown(record, front, log=LOG, seq="7")
    assert "<dt>Workload</dt>" not in unknown and "a Biscuit asked for esa.kv.read" in unknown


@pytest.mark.parametrize(
    ("log", "seq"),
    [("", "1"), ("..", "1"), ("a/b", "1"), (LOG, ""), (LOG, "-1"), (LOG, "٣"), (LOG, "1" * 20)],
)
def test_what_is_no_record_is_never_asked_for(log: str, seq: str) -> None:
    front = Front()
    with pytest.raises(Malformed):
        shown(record, front, log=log, seq=seq)
    assert front.asked == []


def test_who_may_not_read_a_record_is_told_which_rule_is_missing() -> None:
    front = Front()
    front.answers[f"sys/log/records/{LOG}/7"] = (403, FORBIDDEN)
    page = answered(record, front, log=LOG, seq="7")
    assert (page.status_code, b"sys/log/*" in bytes(page.body)) == (403, True)


def test_nothing_of_a_record_is_markup() -> None:
    nasty = "\"'><script>alert(1)</script>\u202e"
    hostile: dict[str, object] = {
        **{name: nasty if isinstance(value, str) else value for name, value in RECORD.items()},
        nasty: {nasty: [nasty]},
        "actor": {"id": nasty, "type": "entity"},
        "credential": {"accessor": nasty, "kind": nasty, "blocks": ["x<script>"], "bound": nasty},
        "policy": {"reason": nasty, "by": [{"policy": nasty, "rule": nasty}], "grant": [{"policy": nasty}]},
        "resource": {"id": nasty, "type": nasty},
    }
    front = record_front({**RECORD, "seq": 7}, 30)
    front.answers[f"sys/log/records/{LOG}/7"] = page_of(hostile)
    front.answers[f"sys/log/checkpoints/{LOG}"] = (200, f"{nasty}\n30\n{nasty[:20]}\n".encode())
    page = shown(record, front, log=LOG, seq="7")
    assert "<script" not in page and "\u202e" not in page
    assert "&lt;script&gt;" in page
