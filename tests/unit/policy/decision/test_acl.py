# SPDX-License-Identifier: EUPL-1.2
"""Decisions: which rule decides, what is merged, which constraints hold. Checked against OpenBao in tests/property."""

import pytest
from msgspec.structs import replace

from vault.framework.errors import Reason
from vault.framework.identity import IdentityFacts
from vault.policy.builtin import DEFAULT_POLICY, RESPONSE_WRAPPING_POLICY
from vault.policy.decision.acl import Acl, AclVerdict, compile_acl
from vault.policy.decision.resultant import resultant_acl
from vault.policy.text.parse import parse_policy
from vault.values.ids import EntityId


def compiled(*texts: str, now: float = 0) -> Acl:
    return compile_acl([parse_policy(f"p{i}", text) for i, text in enumerate(texts)], now=now)


def one(path: str, words: str, extra: str = "") -> str:
    listed = ", ".join(f'"{word}"' for word in words.split())
    return f'path "{path}" {{ capabilities = [{listed}] {extra} }}\n'


def allowed(acl: Acl, operation: str, path: str, **given: object) -> bool:
    wrap = given.pop("wrap_ttl", 0)
    assert wrap is None or isinstance(wrap, int)
    return acl.check(operation, path, now=0, data=given, wrap_ttl=wrap).allowed


def test_root_may_do_everything() -> None:
    acl = compile_acl([parse_policy("a", one("*", "deny")), parse_policy("root", "")], now=0)
    assert acl.check("delete", "x", now=0) == AclVerdict(
        allowed=True, root=True, sudo=True, granting=("root",)
    )
    assert acl.capabilities("x", now=0) == ["root"]
    assert resultant_acl(acl) == {"root": True}


def test_a_verdict_says_who_grants_and_what_is_missing() -> None:
    acl = compiled(one("a", "read sudo"), one("a", "read list"))
    by_a = AclVerdict(allowed=True, sudo=True, rule="a", policies=("p0", "p1"))
    assert acl.check("read", "a", now=0) == replace(by_a, granting=("p0", "p1"))
    assert acl.check("list", "a", now=0) == replace(by_a, granting=("p1",))
    refused = replace(by_a, allowed=False, missing="update", reason=Reason.UPDATE)
    assert acl.check("update", "a", now=0) == refused
    assert acl.check("update", "b", now=0) == AclVerdict(
        allowed=False, missing="update", reason=Reason.NO_RULE
    )


@pytest.mark.parametrize(
    ("operation", "path", "rule", "policies", "reason"),
    [
        ("read", "a/x", "a/*", ("p0", "p1"), None),
        ("list", "a/", "a/*", ("p0", "p1"), Reason.LIST),
        ("read", "b/x/c", "b/+/c", ("p1",), None),
        ("read", "d", "d", ("p1", "p2"), Reason.DENIED),
        ("read", "nowhere", "", (), Reason.NO_RULE),
        ("read", "w", "w", ("p2",), Reason.WRAPPING),
        ("update", "w", "w", ("p2",), Reason.WRAPPING),
        ("update", "m", "m", ("p2",), Reason.PARAMETERS),
        ("list", "l/", "l/", ("p2",), Reason.LIMIT),
        ("renew", "d", "d", ("p1", "p2"), Reason.DENIED),
        ("renew", "a/x", "a/*", ("p0", "p1"), Reason.NO_RULE),
    ],
)
def test_a_verdict_names_the_rule_that_decided_who_has_it_and_why_it_refused(
    operation: str, path: str, rule: str, policies: tuple[str, ...], reason: Reason | None
) -> None:
    acl = compiled(
        one("a/*", "read") + one("d", "read"),
        one("a/*", "update") + one("b/+/c", "read") + one("d", "deny") + one("d", "read"),
        one("d", "deny")
        + one("w", "read update", "min_wrapping_ttl = 5")
        + one("m", "update", 'required_parameters = ["x"]')
        + one("l/", "list", "pagination_limit = 3"),
    )
    for _ in range(2):  # the second time from memory
        verdict = acl.check(operation, path, now=0, data={"limit": "9"}, wrap_ttl=None)
        assert (verdict.rule, verdict.policies, verdict.reason) == (rule, policies, reason)
        assert verdict.allowed is (reason is None)
        assert verdict.granting == () or verdict.allowed


def test_a_policy_whose_template_cannot_be_filled_in_is_named() -> None:
    policy = parse_policy("t", one("a/{{identity.entity.name}}", "read"))
    facts = IdentityFacts(entity_id=EntityId("e"), entity_name="x/y")
    verdict = compile_acl([policy, parse_policy("p", one("a/x", "read"))], now=0, facts=facts).check(
        "read", "a/x", now=0
    )
    assert (verdict.allowed, verdict.rule, verdict.policies) == (False, "", ("t",))
    assert verdict.reason is Reason.TEMPLATE


def test_the_rule_has_its_templates_filled_in() -> None:
    facts = IdentityFacts(entity_id=EntityId("e"), entity_name="x")
    acl = compile_acl([parse_policy("t", one("a/{{identity.entity.name}}/*", "read"))], now=0, facts=facts)
    assert acl.check("read", "a/x/y", now=0).rule == "a/x/*"


def test_create_and_update_are_alike_where_one_rule_allows_both() -> None:
    acl = compiled(
        one("a/*", "create update"), one("a/*", "update") + one("b", "create update"), one("b", "deny")
    )
    both = compiled(one("a/*", "create update"))
    assert both.lets_either("a/x", now=0) is both.check("update", "a/x", now=0)
    assert not acl.lets_either("a/x", now=0)  # other policies grant the one than the other
    assert not acl.lets_either("b", now=0)
    assert not acl.lets_either("c", now=0)


@pytest.mark.parametrize(
    ("rules", "path", "winner"),
    [
        (["a/b", "a/*"], "a/b", "a/b"),
        (["a/*", "a/b*"], "a/bc", "a/b*"),
        (["a/*", "+/b"], "a/b", "a/*"),
        (["a*", "a/+"], "a/b", "a/+"),
        (["a/+", "a/*"], "a/b", "a/+"),
        (["+/+/c", "+/b/c"], "a/b/c", "+/b/c"),
        (["+/+/ccc/*", "+/b/+/*"], "a/b/ccc/d", "+/+/ccc/*"),
        (["+/+/c/*", "+/b/+/*"], "a/b/c/d", "+/b/+/*"),
        (["a/+/*"], "a/b", ""),
        (["a/+/b*"], "a/x/bc", "a/+/b*"),
        (["a/+/b*"], "a/x/c", ""),
        (["a/+"], "a/b/c", ""),
        (["+"], "a", "+"),
        (["a/+x"], "a/+x", "a/+x"),
        (["a/+x"], "a/yx", ""),
        (["x+"], "xy", ""),
        (["a/**"], "a/*b", "a/**"),
        (["*"], "//a", "*"),
        (["a/", "a"], "a/", "a/"),
    ],
)
def test_one_rule_path_decides(rules: list[str], path: str, winner: str) -> None:
    words = ["read", "list", "update"]
    acl = compiled("".join(one(rule, word) for rule, word in zip(rules, words, strict=False)))
    assert acl.capabilities(path, now=0) == [words[rules.index(winner)] if winner else "deny"]


def test_a_listing_also_looks_without_its_trailing_slash_but_nothing_else_does() -> None:
    acl = compiled(one("a", "list read scan") + one("b/+", "list") + one("c/*", "list") + one("c/d", "deny"))
    assert allowed(acl, "list", "a/") and allowed(acl, "scan", "a/") and not allowed(acl, "read", "a/")
    assert allowed(acl, "list", "b/x/") and allowed(acl, "list", "c/") and not allowed(acl, "list", "c/d/")
    assert not allowed(acl, "list", "z/")


def test_sl_03_a_deny_clears_its_path_whatever_the_order_and_no_other() -> None:
    for texts in ([one("a", "deny"), one("a", "read")], [one("a", "read"), one("a", "deny")]):
        acl = compiled(*texts, one("a*", "read"))
        assert acl.capabilities("a", now=0) == ["deny"]
        assert acl.capabilities("ab", now=0) == ["read"]


def test_rules_end_at_their_time_even_in_an_acl_compiled_before() -> None:
    acl = compiled(
        one("a", "deny", "expiration = 10") + one("a", "read", "expiration = 20") + one("a*", "list"), now=5
    )
    assert not acl.check("read", "a", now=9).allowed
    assert acl.check("read", "a", now=10).allowed
    assert acl.capabilities("a", now=19) == ["read"]
    assert acl.capabilities("a", now=20) == ["list"]
    assert compiled(one("a", "read", "expiration = 10"), now=10).capabilities("a", now=10) == ["deny"]


@pytest.mark.parametrize(
    ("extra", "data", "passes"),
    [
        ("allowed_parameters = { X = [] }", {"x": 1}, True),
        ("allowed_parameters = { x = [] }", {"X": 1}, True),
        ("allowed_parameters = { x = [] }", {"y": 1}, False),
        ("allowed_parameters = { x = [] }", {}, True),
        ('allowed_parameters = { "*" = [] }', {"y": 1}, True),
        ('allowed_parameters = { "*" = [] x = ["1"] }', {"y": 1}, True),
        ('allowed_parameters = { "*" = [] x = ["1"] }', {"x": "2"}, False),
        ('allowed_parameters = { x = ["a*"] }', {"x": "ab"}, True),
        ('allowed_parameters = { x = ["*b"] }', {"x": "ab"}, True),
        ('allowed_parameters = { x = ["*b*"] }', {"x": "abc"}, True),
        ('allowed_parameters = { x = ["*"] }', {"x": "a"}, False),
        ('allowed_parameters = { x = ["ab"] }', {"x": "ab"}, True),
        ("allowed_parameters = { x = [true] }", {"x": True}, True),
        ("allowed_parameters = { x = [true] }", {"x": 1}, False),
        ("allowed_parameters = { x = [1] }", {"x": 1}, False),
        ('allowed_parameters = { x = [["a", "b"]] }', {"x": ["a", "b"]}, True),
        ('allowed_parameters = { x = [["a", "b"]] }', {"x": ["a"]}, False),
        ('allowed_parameters = { x = [{ k = "v" }] }', {"x": {"k": "v"}}, True),
        ('allowed_parameters = { x = [{ k = "v" }] }', {"x": {"k": "w"}}, False),
        ('denied_parameters = { x = ["1"] }', {"X": "1"}, False),
        ('denied_parameters = { x = ["1"] }', {"x": "2"}, True),
        ("denied_parameters = { x = [] }", {"x": 5}, False),
        ('denied_parameters = { "*" = [] }', {"y": 1}, False),
        ('denied_parameters = { "*" = [] }', {}, True),
        ('required_parameters = ["X"]', {"x": 1}, True),
        ('required_parameters = ["X"]', {}, False),
        ('required_parameters = ["x"]', {"X": 1}, False),
    ],
)
def test_parameters_are_checked_but_for_deletes_and_listings(
    extra: str, data: dict[str, object], passes: bool
) -> None:
    acl = compiled(one("a", "create read update patch delete list", extra))
    for operation in ("create", "read", "update", "patch"):
        assert allowed(acl, operation, "a", **data) is passes
    assert allowed(acl, "delete", "a", **data) and allowed(acl, "list", "a", **data)


def test_parameters_of_rules_on_one_path_are_merged() -> None:
    acl = compiled(
        one("a", "update", 'allowed_parameters = { x = ["1"] y = [] } required_parameters = ["r"]'),
        one(
            "a",
            "update",
            'allowed_parameters = { x = ["2"] y = ["1"] z = ["9"] } required_parameters = ["r", "x"]',
        ),
    )
    assert allowed(acl, "update", "a", x="1", r=1) is False  # r is required and not among the allowed
    assert acl.rules["a"].allowed == {"x": ["1", "2"], "y": [], "z": ["9"]}
    assert list(acl.rules["a"].required) == ["r", "x"]


@pytest.mark.parametrize(
    ("extra", "wrap_ttl", "passes"),
    [
        ("min_wrapping_ttl = 10", None, False),
        ("min_wrapping_ttl = 10", 0, False),
        ("min_wrapping_ttl = 10", 9, False),
        ("min_wrapping_ttl = 10", 10, True),
        ("max_wrapping_ttl = 10", None, False),
        ("max_wrapping_ttl = 10", 0, True),
        ("max_wrapping_ttl = 10", 10, True),
        ("max_wrapping_ttl = 10", 11, False),
        ("min_wrapping_ttl = 5 max_wrapping_ttl = 10", 7, True),
    ],
)
def test_responses_must_be_wrapped_within_bounds(extra: str, wrap_ttl: int | None, passes: bool) -> None:
    assert allowed(compiled(one("a", "read", extra)), "read", "a", wrap_ttl=wrap_ttl) is passes


def test_the_tighter_bound_counts_and_bounds_that_exclude_each_other_refuse() -> None:
    acl = compiled(one("a", "read", "min_wrapping_ttl = 10"), one("a", "read", "min_wrapping_ttl = 20"))
    assert allowed(acl, "read", "a", wrap_ttl=10)
    acl = compiled(one("a", "read", "min_wrapping_ttl = 10"), one("a", "read", "max_wrapping_ttl = 5"))
    assert not any(allowed(acl, "read", "a", wrap_ttl=ttl) for ttl in (0, 4, 5, 7, 10, 20))


@pytest.mark.parametrize(
    ("limit", "forced"),
    [
        (None, 3),
        ("", 3),
        ("0", 3),
        (0, 3),
        ("max", 3),
        ("1", 1),
        (2, 2),
        ("03", 3),
        ("4", None),
        (-1, None),
        ("-1", None),
        ("1.5", None),
        (1.5, None),
        (True, None),
        ("1 ", None),
        ("9" * 30, None),
        (["1"], None),
    ],
)
def test_sl_16_a_listing_gets_its_page_size_from_the_rule(limit: object, forced: int | None) -> None:
    acl = compiled(one("a/*", "list", "pagination_limit = 3"), one("a/*", "list", "pagination_limit = 5"))
    data = {} if limit is None else {"limit": limit}
    verdict = acl.check("list", "a/", now=0, data=data)
    assert (verdict.allowed, verdict.pagination_limit) == (forced is not None, forced)
    if forced is None:
        assert verdict.missing == "a limit of 0 to 3, or max"


def test_a_limit_can_be_required() -> None:
    acl = compiled(one("a/*", "list", 'pagination_limit = 3 required_parameters = ["limit"]'))
    assert acl.check("list", "a/", now=0).missing == "parameter limit"
    assert acl.check("list", "a/", now=0, data={"limit": "max"}).pagination_limit == 3
    assert acl.check("list", "a/", now=0, data=None).allowed is False


def test_a_controlled_capability_is_refused_while_nobody_can_approve() -> None:
    group = 'control_group { factor "f" { controlled_capabilities = ["read"] identity { group_names = ["g"] approvals = 1 } } }'
    acl = compiled(one("a", "read update", group))
    assert acl.check("read", "a", now=0).missing == "control group approval"
    assert acl.check("read", "a", now=0).reason is Reason.CONTROL_GROUP
    assert allowed(acl, "update", "a")


def test_the_memo_stays_bounded() -> None:
    acl = Acl([parse_policy("p", one("a/*", "read"))], now=0, most_verdicts=3)
    for index in range(10):
        assert acl.check("read", f"a/{index}", now=0).allowed
        assert len(acl._memo) <= 3


def test_the_default_policy_lets_a_token_look_after_itself() -> None:
    acl = compile_acl([parse_policy("default", DEFAULT_POLICY)], now=0)
    assert acl.capabilities("auth/token/lookup-self", now=0) == ["read"]
    assert acl.capabilities("cubbyhole/x", now=0) == ["create", "delete", "list", "read", "update"]
    assert acl.capabilities("identity/oidc/provider/p/authorize", now=0) == ["read", "update"]
    assert acl.capabilities("secret/x", now=0) == ["deny"]


def test_a_wrapping_token_reads_its_response_only() -> None:
    acl = compile_acl([parse_policy("response-wrapping", RESPONSE_WRAPPING_POLICY)], now=0)
    assert acl.capabilities("cubbyhole/response", now=0) == ["create", "read"]
    assert acl.capabilities("cubbyhole/other", now=0) == ["deny"]


def test_the_resultant_acl_shows_exact_and_prefix_paths() -> None:
    extra = 'allowed_parameters = { X = ["1"] } denied_parameters = { y = [] } required_parameters = ["z"]'
    acl = compiled(
        one("a", "read", extra)
        + one("b*", "deny", "")
        + one("c/+", "read")
        + one("d", "read", "min_wrapping_ttl = 1 max_wrapping_ttl = 2")
    )
    assert resultant_acl(acl) == {
        "root": False,
        "exact_paths": {
            "a": {
                "capabilities": ["read"],
                "allowed_parameters": {"x": ["1"]},
                "denied_parameters": {"y": []},
                "required_parameters": ["z"],
            },
            "d": {"capabilities": ["read"], "min_wrapping_ttl": 1, "max_wrapping_ttl": 2},
        },
        "glob_paths": {"b": {"capabilities": ["deny"]}},
    }


def test_verdicts_on_paths_longer_than_any_real_one_are_not_remembered() -> None:
    acl = compiled(one("a/*", "read"))
    for length in (100, 100_000):
        assert allowed(acl, "read", "a/" + "x" * length)
    assert [len(path) for _, path in acl._memo] == [102]
