# SPDX-License-Identifier: EUPL-1.2
"""Identity templates: values are literal pieces of paths, and what cannot be rendered never opens anything."""

import pytest

from vault.framework.identity import AliasFacts, GroupFacts, IdentityFacts
from vault.policy.decision.acl import compile_acl
from vault.policy.template import render
from vault.policy.text.parse import parse_policy
from vault.values.ids import EntityId

FACTS = IdentityFacts(
    entity_id=EntityId("e1"),
    entity_name="ann",
    metadata={"team": "red", "a.b": "dotted"},
    aliases={"acc1": AliasFacts("al1", "ann@x", {"k": "meta"}, {"c": "custom"})},
    groups={"g1": GroupFacts("ops", {"site": "north"})},
)


def rendered(
    path: str, facts: IdentityFacts | None = FACTS, word: str = "read", **flags: bool
) -> list[str] | str:
    policy = parse_policy("p", f'path "{path}" {{ capabilities = ["{word}"] }} path "plain" {{}}', **flags)
    result = render(policy, facts)
    assert not result.templated
    return result.refusal or [rule.path for rule in result.rules if rule.path != "plain"]


@pytest.mark.parametrize(
    ("selector", "value"),
    [
        ("identity.entity.id", "e1"),
        (" identity.entity.name ", "ann"),
        ("identity.entity.metadata.team", "red"),
        ("identity.entity.metadata.a.b", "dotted"),
        ("identity.entity.aliases.acc1.id", "al1"),
        ("identity.entity.aliases.acc1.name", "ann@x"),
        ("identity.entity.aliases.acc1.metadata.k", "meta"),
        ("identity.entity.aliases.acc1.custom_metadata.c", "custom"),
        ("identity.groups.ids.g1.name", "ops"),
        ("identity.groups.names.ops.id", "g1"),
    ],
)
def test_a_selector_becomes_its_value(selector: str, value: str) -> None:
    assert rendered(f"s/{{{{{selector}}}}}/x-{{{{{selector}}}}}*") == [f"s/{value}/x-{value}*"]


@pytest.mark.parametrize(
    "selector",
    [
        "",
        "foo",
        "identity.entity",
        "identity.entity.metadata",
        "identity.entity.metadata.none",
        "identity.entity.aliases.acc1",
        "identity.entity.aliases.acc1.metadata",
        "identity.entity.aliases.acc2.id",
        "identity.groups.ids.g2.name",
        "identity.groups.ids.g1.id",
        "identity.groups.names.none.id",
        "identity.groups.names.ops.name",
    ],
)
def test_a_grant_without_a_value_is_dropped_and_a_deny_widened(selector: str) -> None:
    assert rendered(f"s/{{{{{selector}}}}}") == []
    assert rendered(f"s/{{{{{selector}}}}}", word="deny") == ["s/+"]


def test_without_an_entity_nothing_has_a_value() -> None:
    assert rendered("s/{{identity.entity.id}}", None) == []


@pytest.mark.parametrize(
    ("path", "wide"),
    [
        ("s/{{x}}", "s/+"),
        ("s/{{x}}/y", "s/+/y"),
        ("s/u-{{x}}/y*", "s/+/y*"),
        ("s/{{x}}*", "s/*"),
        ("s/{{x}}/{{y}}*", "s/+/*"),
        ("s/{{x/y}}/z", "s/*"),
        ("{{x}}", "+"),
        ("{{x}}*", "*"),
    ],
)
def test_a_widened_deny_covers_all_it_could_have_meant(path: str, wide: str) -> None:
    assert rendered(path, None, "deny") == [wide]


def test_a_widened_deny_reaches_over_slashes_where_values_may() -> None:
    assert rendered("s/{{x}}/y", None, "deny", allow_slashes=True) == ["s/*"]


@pytest.mark.parametrize("value", ["a/b", "+", "*", "a*", "..", ".", "", "a\0", "a\n", "a/../b"])
def test_sl_04_a_value_with_a_meaning_in_paths_refuses_everything(value: str) -> None:
    facts = IdentityFacts(entity_id=EntityId("e1"), entity_name=value)
    assert rendered("s/{{identity.entity.name}}", facts) == "an identity value may not stand in a path"
    policies = [
        parse_policy("all", 'path "*" { capabilities = ["read"] }'),
        parse_policy("p", 'path "s/{{identity.entity.name}}" { capabilities = ["deny"] }'),
    ]
    acl = compile_acl(policies, now=0, facts=facts)
    verdict = acl.check("read", "x", now=0)
    assert (verdict.allowed, verdict.missing) == (
        False,
        "policy p: an identity value may not stand in a path",
    )
    assert acl.capabilities("x", now=0) == ["deny"]


def test_the_policys_settings_let_such_values_in() -> None:
    slashes = IdentityFacts(entity_id=EntityId("e1"), entity_name="a/b")
    assert rendered("s/{{identity.entity.name}}", slashes, allow_slashes=True) == ["s/a/b"]
    wildcards = IdentityFacts(entity_id=EntityId("e1"), entity_name="a*")
    assert rendered("s/{{identity.entity.name}}", wildcards, allow_wildcards=True) == ["s/a*"]
    both = IdentityFacts(entity_id=EntityId("e1"), entity_name="a/../b")
    assert rendered("s/{{identity.entity.name}}", both, allow_slashes=True) == (
        "an identity value may not stand in a path"
    )


def test_sl_05_a_token_without_entity_does_not_lose_a_templated_deny() -> None:
    text = (
        'path "s/*" { capabilities = ["read"] } path "s/{{identity.entity.id}}" { capabilities = ["deny"] }'
    )
    acl = compile_acl([parse_policy("p", text)], now=0)
    assert acl.capabilities("s/anyone", now=0) == ["deny"]
    assert acl.capabilities("s/anyone/below", now=0) == ["read"]
