# SPDX-License-Identifier: EUPL-1.2
"""Identity templates in roles."""

import pytest

from vault.engines.ssh.certificates.templates import filled, forbidden_in, is_templated
from vault.engines.ssh.roles.role import CA, Role
from vault.framework.errors import Malformed
from vault.framework.identity import AliasFacts, GroupFacts, IdentityFacts
from vault.values.ids import EntityId

FACTS = IdentityFacts(
    entity_id=EntityId("e"),
    entity_name="bob",
    metadata={"team": "red", "list": "a,b", "blank": " root", "line": "root\n"},
    aliases={"acc": AliasFacts("i", "bobby")},
    groups={"g": GroupFacts("ops", {"k": "v"})},
)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("plain", "plain"),
        ("{{identity.entity.name}}", "bob"),
        ("a,{{ identity.entity.metadata.team }}-x", "a,red-x"),
        ("{{identity.entity.aliases.acc.name}}/{{identity.groups.ids.g.name}}", "bobby/ops"),
        ("{{identity.groups.names.ops.metadata.k}}", "v"),
        ("{{", "{{"),
        ("{{}}", "{{}}"),
        ("x}}", "x}}"),
    ],
)
def test_a_template_stands_for_what_is_known_of_who_asks(text: str, made: str) -> None:
    assert filled(text, FACTS, ",*") == made
    assert filled(text, None, ",*") == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{{identity.entity.metadata.none}}", "no value could be found"),
        ("{{hunter}}", "no value could be found"),
        ("{{identity.entity.aliases.none.name}}", "alias not found"),
        ("{{identity.groups.ids.none.name}}", 'not a member of group "none"'),
        ("{{identity.groups.names.none.id}}", 'not a member of group "none"'),
        ("{{identity.entity.metadata.list}}", 'forbidden value: ","'),
        ("{{identity.entity.metadata.blank}}", "begins or ends with a blank"),
        ("x,{{identity.entity.metadata.line}}", "begins or ends with a blank"),
        ("{{identity.entity.name}}}}", "unbalanced"),
        ("}}{{identity.entity.name}}", "unbalanced"),
        ("{{identity.entity.name}}{{", "unbalanced"),
    ],
)
def test_a_template_without_a_good_value_is_refused(text: str, why: str) -> None:
    with pytest.raises(Malformed) as caught:
        filled(text, FACTS, ",*")
    assert caught.value.message.startswith(f"template '{text}' could not be rendered -> ")
    assert why in caught.value.message
    assert "a,b" not in caught.value.message


def test_blanks_stay_where_there_is_no_list_or_one_is_allowed() -> None:
    for forbidden in ("", "*"):
        assert filled("{{identity.entity.metadata.blank}}", FACTS, forbidden) == " root"


def test_a_role_says_what_its_templates_may_stand_for() -> None:
    assert forbidden_in(Role(kind=CA)) == ",*"
    assert forbidden_in(Role(kind=CA, commas_in_templates=True)) == "*"
    assert forbidden_in(Role(kind=CA, wildcards_in_templates=True)) == ","
    assert is_templated("a{{b}}")
    assert not is_templated("{{}}")
    assert not is_templated("}}a{{")
