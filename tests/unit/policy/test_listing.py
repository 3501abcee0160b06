# SPDX-License-Identifier: EUPL-1.2
"""Filters of listed keys: the templates that are understood, and those that are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.policy.decision.acl import compile_acl
from vault.policy.listing import ListFilter, check_filter, compile_filter
from vault.policy.model import PolicyError
from vault.policy.text.parse import parse_policy

PREFIX = "unable to compile template for list_scan_response_keys_filter_path: unable to parse template: template: template:1: "


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{{ .path }}{{ .key }}", "kv/Ab"),
        ("{{.path}}x/{{.key}}", "kv/x/Ab"),
        ("a { b {{ .key }} c", "a { b Ab c"),
        ("{{ .key | lowercase }}", "ab"),
        ("{{ uppercase .key }}", "AB"),
        ('{{ .path | replace "kv" `data` }}{{ .key }}', "data/Ab"),
        ('{{ replace "\\"\\\\" "x" .key | truncate 1 | lowercase }}{{.key}}', "aAb"),
        ('{{ "lit" }}{{ 7 }}{{ .other }}{{ .key }}', "lit7<no value>Ab"),
    ],
)
def test_a_template_makes_the_path_of_a_key(template: str, path: str) -> None:
    check_filter(template)
    assert compile_filter(template).path("kv/", "Ab") == path


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ .path", PREFIX + "unclosed action"),
        ("{{", PREFIX + "unclosed action"),
        ("{{ bogus .key }}", PREFIX + 'function "bogus" not defined'),
        ("{{ if .key }}x{{ end }}", PREFIX + 'function "if" not defined'),
        ("{{ .key .path }}", PREFIX + "unsupported expression"),
        ('{{ .key | "x" }}', PREFIX + "unsupported expression"),
        ("{{ lowercase uppercase }}", PREFIX + "unsupported expression"),
        ("{{ .key.x }}", PREFIX + "unsupported expression"),
        ("{{ lowercase }}", PREFIX + "wrong number or type of args for lowercase: want 1"),
        ('{{ truncate "x" .key }}', PREFIX + "wrong number or type of args for truncate: want 2"),
        ("{{ .path }}", "list_scan_response_keys_filter_path resulted in same path for two different keys"),
        ("x", "list_scan_response_keys_filter_path resulted in same path for two different keys"),
    ],
)
def test_a_template_that_cannot_serve_is_refused_when_the_policy_is_written(
    template: str, message: str
) -> None:
    with pytest.raises(PolicyError) as raised:
        check_filter(template)
    assert raised.value.message == message
    with pytest.raises(PolicyError):
        parse_policy("p", f'path "a" {{ list_scan_response_keys_filter_path = <<E\n{template}\nE\n }}')


@given(st.text('{}."`|\\ .keypath1replace'))
def test_any_template_is_compiled_or_refused(template: str) -> None:
    try:
        outcome: object = compile_filter(template).path("p/", "k")
    except PolicyError as error:
        outcome = error
    assert isinstance(outcome, str | PolicyError)
    assert ListFilter(()).path("p/", "k") == ""


def test_a_filtered_listing_shows_keys_that_may_be_read_and_folders_that_may_be_listed() -> None:
    text = """
    path "kv" { capabilities = ["list"] list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}" }
    path "kv/a" { capabilities = ["read"] }  path "kv/b" { capabilities = ["list"] }
    path "kv/c" { capabilities = ["read"] required_parameters = ["x"] }  path "kv/d/" { capabilities = ["list"] }
    path "kv/e/*" { capabilities = ["read"] }
    """
    acl = compile_acl([parse_policy("p", text)], now=0)
    verdict = acl.check("list", "kv/", now=0)
    keys = ["a", "b", "c", "d/", "e/", "f"]
    assert acl.visible(verdict, "kv/", keys, now=0) == acl.visible(verdict, "kv", keys, now=0) == ["a", "d/"]
    assert acl.visible(acl.check("read", "kv/a", now=0), "kv/", keys, now=0) == keys
