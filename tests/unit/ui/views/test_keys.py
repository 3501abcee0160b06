# SPDX-License-Identifier: EUPL-1.2
"""The page of keys: each with what is known of it, and what a profile says."""

import re
from html import unescape
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.unit.ui.house import Front, shown
from vault.ui.session.visit import ApiRefusal
from vault.ui.views import keys

_RSA = {
    "id": "mounts/identity/oidc/web/1", "protects": "identity tokens", "algorithm": "rsa-2048", "bits": 2048, "state": "active",
    "origin": "software", "location": "the safe", "age": 3 * 86_400, "count": 1, "pq": "none", "at_risk_after": "2030-01-01",
}  # fmt: skip
_SLOT = {
    **_RSA, "id": "seal/slot/hsm-a", "algorithm": "", "bits": None, "state": "unreachable", "origin": "hsm",
    "location": "seal slot hsm-a", "age": None, "count": 12, "pq": "pq", "at_risk_after": None,
}  # fmt: skip
_SHORT: dict[str, Any] = {
    "status": "warning",
    "findings": [
        {"level": "warning", "reason": "too short <b>", "source": "BSI"},
        {"level": "information", "reason": "until 2035", "source": ""},
    ],
}


def _front(*rows: Any, after: str = "") -> Front:
    return Front(sys__crypto__inventory=(200, {"data": {"inventory": list(rows), "next": after}}))


def test_each_key_has_what_is_known_of_it() -> None:
    front = _front(_RSA, _SLOT)
    page = unescape(shown(keys.keys, front))
    assert front.asked[0][2] == {"limit": ["100"]}
    for text in ("rsa-2048, 2048 bits", "3 days", "none, at risk after 2030-01-01", "HSM: seal slot hsm-a"):
        assert text in page
    for text in ("seal/slot/hsm-a (12)", "not noted", "state revoked", "state active"):
        assert text in page
    assert "Findings" not in page


def test_what_a_profile_says_is_shown_and_escaped() -> None:
    planned = {"status": "ok", "findings": _SHORT["findings"][1:]}
    front = _front({**_RSA, "check": _SHORT}, {**_SLOT, "check": planned})
    page = shown(keys.keys, front, profile="bsi")
    assert front.asked[0][2]["profile"] == ["bsi"]
    assert '<li class=""><strong>too short &lt;b&gt; (BSI)</strong></li>' in page
    assert '<h2>To plan by</h2><ul><li class="">until 2035: 2 keys here</li></ul>' in page
    assert '<a href="/ui/keys?mount=nhi&amp;profile=bsi" aria-current="true">BSI</a>' in page


def test_the_next_page_goes_on_where_this_one_ended() -> None:
    front = _front(_RSA, after="seal/root")
    page = shown(keys.keys, front, profile="anssi", after="x")
    assert front.asked[0][2]["after"] == ["x"]
    further = re.search(r'<a href="([^"]*)">Next page</a>', page)
    assert further
    asked = parse_qs(unescape(further[1]).partition("?")[2])
    assert asked == {"mount": ["nhi"], "profile": ["anssi"], "after": ["seal/root"]}


def test_a_namespace_without_keys_of_its_own_is_told_so() -> None:
    assert "no keys of its own" in shown(keys.keys, _front())


def test_who_may_not_read_the_inventory_is_refused() -> None:
    front = Front(sys__crypto__inventory=(403, {"type": "urn:coffre:error:forbidden"}))
    with pytest.raises(ApiRefusal):
        shown(keys.keys, front)
