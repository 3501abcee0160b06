# SPDX-License-Identifier: EUPL-1.2
"""What storage said of a first block is kept for that block of that mount, until a fact that it rests on changes."""

import msgspec
import pytest

from nhi.biscuit.credential.known_facts import KnownFacts
from nhi.biscuit.credential.verdict import Issue, Signer, Verdict
from nhi.biscuit.records.model import IssuedToken, IssuerKey, KeyState, MountRef, Workload
from vault.cache.follow import Follower
from vault.framework.call import ROOT
from vault.storage.memory import MemoryStorage
from vault.values.ids import ROOT_ID, MountId, TokenId
from vault.values.times import Millis

OWNER = MountRef(ROOT_ID, MountId("m1"))
BLOCKS = (b"a" * 16, b"b" * 16)
KEY = IssuerKey(kid=7, algorithm=0, state=KeyState.ACTIVE, public=b"k" * 32)
ISSUED = IssuedToken(
    token_id=TokenId("t1"),
    kid=7,
    workload="w1",
    uid="u1",
    registration="r1",
    policies=(),
    created=Millis(1),
    expires=Millis(2),
    latest=Millis(3),
    max_depth=4,
    ids=BLOCKS[0].hex(),
    doors=("m1", "login"),
)
ISSUE = Issue(ISSUED, Workload(name="w1", uid="u1", owner="o", expires=Millis(9)))
GOOD = Verdict(
    owner=OWNER,
    namespace=ROOT,
    kid=7,
    ids=BLOCKS,
    blocks=(),
    now=Millis(1),
    token_id=TokenId("t1"),
    signer=Signer(KEY, OWNER, ROOT),
    issue=ISSUE,
)


def _kept(*verdicts: Verdict) -> KnownFacts:
    facts = KnownFacts(Follower(MemoryStorage()))
    for verdict in verdicts or (GOOD,):
        facts.keep(verdict)
    return facts


def test_a_first_block_is_known_of_its_own_mount_alone() -> None:
    facts = _kept()
    assert (facts.signer(7), facts.issue(OWNER, BLOCKS[0])) == (GOOD.signer, ISSUE)
    assert (facts.signer(8), facts.issue(OWNER, BLOCKS[1])) == (None, None)
    assert facts.issue(MountRef(ROOT_ID, MountId("m2")), BLOCKS[0]) is None


@pytest.mark.parametrize("lacking", [{"signer": None}, {"issue": None}])
def test_nothing_is_known_of_a_token_that_was_refused(lacking: dict[str, None]) -> None:
    assert len(_kept(msgspec.structs.replace(GOOD, **lacking))) == 0


@pytest.mark.parametrize(
    ("tag", "signer"),
    [
        ("key/7", None),
        ("workload/u1", GOOD.signer),
        ("mount/m1", GOOD.signer),
        ("mount/login", GOOD.signer),
        (f"block/{BLOCKS[0].hex()}", GOOD.signer),
        (None, None),
    ],
)
def test_it_goes_with_each_fact_that_it_rests_on(tag: str | None, signer: Signer | None) -> None:
    facts = _kept()
    facts.drop(tag)
    assert (facts.signer(7), facts.issue(OWNER, BLOCKS[0])) == (signer, None)


def test_it_stays_where_something_else_changes() -> None:
    facts = _kept()
    for tag in ("key/8", "workload/u2", "mount/m2", f"block/{BLOCKS[1].hex()}"):
        facts.drop(tag)
    assert (facts.signer(7), facts.issue(OWNER, BLOCKS[0])) == (GOOD.signer, ISSUE)


def test_it_is_bounded() -> None:
    verdicts = (msgspec.structs.replace(GOOD, ids=(place.to_bytes(16, "big"),)) for place in range(2000))
    facts = _kept(*verdicts)
    assert 500 < len(facts) < 1500
    assert facts.issue(OWNER, (1999).to_bytes(16, "big")) is ISSUE
    assert facts.issue(OWNER, (0).to_bytes(16, "big")) is None
