# SPDX-License-Identifier: EUPL-1.2
"""How the log is, on a page: how far it is written, signed and indexed, and what it is sent to."""

import re

from tests.unit.ui.house import Front, answered, shown
from tests.unit.ui.log_house import FORBIDDEN, LOG
from vault.ui.views.log.status import status

STATUS = {
    "log": LOG,
    "records": 70,
    "signed": 68,
    "key": "vault.example/log+key",
    "keys": {LOG: "vault.example/log+key"},
    "logs": [
        {
            "log": LOG,
            "first": 0,
            "indexed_through": 66,
            "segments": 1,
            "behind": 3,
            "proofs": True,
            "damage": "",
        }
    ],
    "index_bytes": 4096,
    "rebuilding": False,
    "trouble": "",
}


def _shown(**more: object) -> str:
    return shown(status, Front(sys__log__status=(200, {"data": {**STATUS, **more}})))


def _cells(page: str, head: str) -> list[str]:
    return [re.sub(r"<[^>]*>", "", one) for one in re.findall(rf'data-label="{head}">(.*?)</t[hd]>', page)]


def test_it_is_told_how_far_the_log_is_written_signed_and_indexed() -> None:
    page = _shown()
    for words in (
        "<dd>70 records</dd>",
        "<dd>68 records</dd>",
        "<dd>4096 bytes</dd>",
        "vault.example/log+key",
    ):
        assert words in page
    assert _cells(page, "Indexed through") == ["66"]
    assert (_cells(page, "Proofs"), _cells(page, "Damage")) == (["whole"], ["none"])
    assert 'role="alert"' not in page and "made anew" not in page and "Devices" not in page
    assert "nothing yet by this process" in _shown(signed=-1)


def test_what_is_wrong_with_it_is_told_first() -> None:
    damaged = {**STATUS["logs"][0], "proofs": False, "damage": "record 9 <b>"}  # type: ignore[index]  # a list in a mapping of anything
    page = _shown(trouble="the disk is full", rebuilding=True, logs=[damaged])
    assert "The log reader is in trouble: the disk is full." in page
    assert "The index is being made anew" in page
    assert (_cells(page, "Proofs"), _cells(page, "Damage")) == (["hashes are lost"], ["record 9 &lt;b&gt;"])


def test_devices_are_shown_with_their_state_and_how_far_they_are_behind() -> None:
    def device(state: str, **more: object) -> dict[str, object]:
        return {"name": f"<{state}>", "kind": "syslog", "policy": "best_effort", "state": state, **more}

    devices = [
        device("healthy", lag_records=0),
        device("behind", lag_records=1, lag_seconds=3.7),
        device("stuck", lag_records=900, lag_seconds=7300, error="the receiver refuses"),
        device("retrying"),
        {},
    ]
    page = _shown(devices=devices)
    assert _cells(page, "Device") == [
        "&lt;healthy&gt;",
        "&lt;behind&gt;",
        "&lt;stuck&gt;",
        "&lt;retrying&gt;",
        "",
    ]
    assert _cells(page, "Behind") == [
        "nothing",
        "1 record, the oldest 3 seconds old",
        "900 records, the oldest 2 hours old",
        "",
        "",
    ]
    assert _cells(page, "State") == ["healthy", "behind", "stuck", "retrying", "unknown"]
    assert _cells(page, "Policy")[0] == "best effort"
    assert _cells(page, "Why")[2] == "the receiver refuses"


def test_witnesses_are_shown_with_what_they_have_cosigned() -> None:
    witness = {"name": "w1", "key": "w1+key", "records": 64, "trouble": "it does not answer <x>"}
    late = {"name": "w2", "key": "w2+key", "records": -1, "trouble": ""}
    report = {"quorum": 1, "records": 64, "age": 130.5, "witnesses": [witness, late]}
    page = _shown(witnessed=report)
    assert "<dt>Witnessed</dt><dd>64 records, 2 minutes ago, by 1 at least</dd>" in page
    assert _cells(page, "Records that it cosigned") == ["64", "none"]
    assert _cells(page, "Trouble") == ["it does not answer &lt;x&gt;", "none"]
    assert "<dd>nothing yet</dd>" in _shown(witnessed={**report, "records": -1})
    assert "Witness" not in _shown(witnessed=None)


def test_a_key_in_an_hsm_is_shown_or_why_it_does_not_sign() -> None:
    for state, words in (
        ({"keys": {LOG: "hsm+key"}, "trouble": ""}, "hsm+key"),
        ({"keys": {}, "trouble": ""}, "has not signed yet"),
        ({"keys": {LOG: "hsm+key"}, "trouble": "it is <away>"}, "does not sign: it is &lt;away&gt;"),
    ):
        assert re.search(f"<dt>Key in an HSM</dt><dd><span[^>]*>{re.escape(words)}</span>", _shown(hsm=state))
    assert "HSM" not in _shown(hsm=None)


def test_who_may_not_read_it_is_told_which_rule_is_missing() -> None:
    page = answered(status, Front(sys__log__status=(403, {**FORBIDDEN, "path": "sys/log/status"})))
    assert (page.status_code, b"may not read sys/log/status" in bytes(page.body)) == (403, True)
