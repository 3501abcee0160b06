# SPDX-License-Identifier: EUPL-1.2
"""Ids in the templates of a policy become others; nothing else of its text does."""

from vaultctl.port.settings.references import replaced

_TEXT = 'path "a/{{identity.entity.aliases.auth_userpass_1.name}}/auth_userpass_1" {}'


def test_an_id_in_a_template_is_exchanged_and_elsewhere_it_stays() -> None:
    assert replaced(_TEXT, {"auth_userpass_1": "auth_userpass_2"}) == (
        'path "a/{{identity.entity.aliases.auth_userpass_2.name}}/auth_userpass_1" {}'
    )


def test_an_id_of_a_namespace_has_a_dot() -> None:
    text = "{{identity.groups.ids.aa-1.Ns1.name}} {{ identity.groups.ids.aa-1.name }}"
    assert replaced(text, {"aa-1.Ns1": "bb-2.Ns2", "aa-1": "cc-3"}) == (
        "{{identity.groups.ids.bb-2.Ns2.name}} {{ identity.groups.ids.cc-3.name }}"
    )


def test_an_id_that_is_part_of_a_longer_word_stays() -> None:
    assert (
        replaced("{{identity.groups.ids.aa-11.name}}", {"aa-1": "b"}) == "{{identity.groups.ids.aa-11.name}}"
    )
    assert replaced(_TEXT, {}) == _TEXT
