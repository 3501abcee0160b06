# SPDX-License-Identifier: EUPL-1.2
"""An explanation is the decision: same verdict, and the rule that it suggests allows and takes nothing away."""

import random

import pytest

from tests.property.test_policy_differential import SEED, constrained_policy, near, policy_text
from vault.policy.decision.acl import Acl, compile_acl
from vault.policy.decision.explain import EXPLAINED, AclExplanation, explain
from vault.policy.text.parse import parse_policy

NOW = 1_800_000_000
OPERATIONS = [word for word in EXPLAINED if word != "sudo"]


def case(rng: random.Random) -> tuple[Acl, str]:
    texts, paths = [], ["kv/a"]
    for _ in range(rng.randint(1, 3)):
        if rng.random() < 0.3:
            texts.append(constrained_policy(rng))
            paths += ["kv/b", "kv/d/x", "kv/n1", "kv/d/"]
        else:
            own, text = policy_text(rng)
            texts.append(text or "# nothing")
            paths += own
    acl = compile_acl([parse_policy(f"p{i}", text) for i, text in enumerate(texts)], now=NOW)
    return acl, near(rng, paths).lstrip("/")


@pytest.mark.parametrize("cases", [300, pytest.param(1500, marks=pytest.mark.soak)])
def test_an_explanation_is_the_verdict_and_its_rule_the_one_that_decided(cases: int) -> None:
    rng = random.Random(SEED)
    seen = {True: 0, False: 0}
    for _ in range(cases):
        acl, path = case(rng)
        for said in explain(acl, OPERATIONS, path, now=NOW):
            verdict = acl.check(said.capability, said.path, now=NOW)
            assert (said.allowed, said.missing == "") == (verdict.allowed, verdict.allowed), (path, said)
            if verdict.allowed:
                granting = {one.policy for one in said.grants if said.capability in one.capabilities}
                assert granting == set(verdict.granting), said
            seen[said.allowed] += 1
    assert min(seen.values()) > cases // 3


@pytest.mark.parametrize("cases", [60, pytest.param(2000, marks=pytest.mark.soak)])
def test_the_suggested_rule_allows_and_takes_nothing_away(cases: int) -> None:
    rng = random.Random(SEED + 1)
    suggested = 0
    for _ in range(cases):
        acl, path = case(rng)
        for said in explain(acl, EXPLAINED, path, now=NOW):
            if not said.grant:
                continue
            suggested += 1
            more = acl.with_policy(parse_policy("more", said.grant), now=NOW)
            after = {one.capability: one for one in explain(more, EXPLAINED, said.path, now=NOW)}
            assert after[said.capability].allowed, said
            before: list[AclExplanation] = explain(acl, EXPLAINED, said.path, now=NOW)
            lost = [one for one in before if one.allowed and not after[one.capability].allowed]
            assert not lost, (said, lost)
    assert suggested > 2 * cases


def test_a_denial_on_the_path_itself_is_named_and_no_rule_is_suggested() -> None:
    acl = compile_acl([parse_policy("p", 'path "a" { capabilities = ["deny"] }')], now=NOW)
    (said,) = explain(acl, ["read"], "a", now=NOW)
    assert (said.allowed, said.rule, said.missing, said.grant) == (
        False,
        "a",
        "read, which the rule denies",
        "",
    )
