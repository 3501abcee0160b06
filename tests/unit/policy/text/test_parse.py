# SPDX-License-Identifier: EUPL-1.2
"""Policy text: what is read from it, and in which words it is refused."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault.policy.model import Capability, ControlFactor, ControlGroup, PathRule, Policy
from vault.policy.text.parse import PolicyError, parse_policy

READ = 'path "a" { capabilities = ["read"] }'


def only(extra: str) -> PathRule:
    (rule,) = parse_policy("p", f'path "a" {{ {extra} }}').rules
    return rule


def fault(text: str) -> str:
    with pytest.raises(PolicyError) as raised:
        parse_policy("p", text)
    assert str(raised.value) == raised.value.message
    return raised.value.message.removeprefix("failed to parse policy: ")


def test_a_policy_keeps_its_name_its_text_and_its_rules_in_order() -> None:
    text = 'name = "other"\npath "/a" { capabilities = ["read", "list"] } path "b/*" { policy = "write" } path "a" {}'
    policy = parse_policy("p", text, allow_slashes=True, allow_wildcards=True)
    assert (policy.name, policy.text, policy.templated) == ("p", text, False)
    assert policy.allow_slashes and policy.allow_wildcards
    assert [rule.path for rule in policy.rules] == ["a", "b/*", "a"]
    assert policy.rules[0].capabilities == Capability.READ | Capability.LIST
    assert policy.rules[2].capabilities == Capability(0)


def test_json_and_base64_read_like_hcl() -> None:
    rules = parse_policy("p", READ).rules
    assert parse_policy("p", '{"path": {"a": {"capabilities": ["read"]}}}').rules == rules
    encoded = parse_policy("p", base64.b64encode(READ.encode()).decode() + "\n")
    assert (encoded.rules, encoded.text) == (rules, READ)


def test_only_root_may_be_empty() -> None:
    assert parse_policy("root", "") == Policy("root", "", ())
    assert fault("") == "'policy' parameter not supplied or empty"
    assert parse_policy("p", "# nothing").rules == ()


def test_bytes_that_are_no_text_are_refused_without_being_shown() -> None:
    assert fault("path") == "At 1:1: illegal char"


@pytest.mark.parametrize(
    ("word", "granted"),
    [
        ("", []),
        ("deny", ["DENY"]),
        ("read", ["READ", "LIST"]),
        ("write", ["CREATE", "READ", "UPDATE", "DELETE", "LIST"]),
        ("sudo", ["CREATE", "READ", "UPDATE", "DELETE", "LIST", "SUDO"]),
    ],
)
def test_legacy_policies_stand_for_capabilities(word: str, granted: list[str]) -> None:
    assert {c.name for c in only(f'policy = "{word}"').capabilities} == set(granted)


def test_a_deny_stands_alone() -> None:
    assert only('capabilities = ["read", "deny"]').capabilities == Capability.DENY
    assert only('capabilities = ["read"] policy = "deny"').capabilities == Capability.DENY


def test_repeated_lists_add_up_and_of_other_keys_the_last_counts() -> None:
    rule = only(
        'capabilities = ["read"] capabilities = ["list"] pagination_limit = 3 pagination_limit = "0x10" '
        'allowed_parameters = { X = ["1", true, [1], { k = "v" }] } allowed_parameters { x = [] y = {} } '
        'denied_parameters = { z = [1] } required_parameters = ["A", "a", 7] mfa_methods = ["m"] comment = {}'
    )
    assert rule.capabilities == Capability.READ | Capability.LIST
    assert rule.pagination_limit == 16
    assert rule.allowed == {"x": ("1", True, [1], {"k": "v"}), "y": ()}
    assert rule.denied == {"z": (1,)}
    assert rule.required == ("a", "7")
    assert rule.mfa_methods == ("m",)


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("10", 10),
        ("1.5", 1.5),
        ('"10"', 10),
        ('""', 0),
        ('"1h30m"', 5400),
        ('"1.5h"', 5400),
        ('"+5s"', 5),
        ('"2d"', 172800),
        ('"500ms"', 0.5),
        ("-5", 0),
        ('"-5s"', 0),
    ],
)
def test_wrapping_bounds_are_seconds_and_negative_ones_are_none(written: str, seconds: float) -> None:
    assert only(f"min_wrapping_ttl = {written}").min_wrapping_ttl == seconds
    assert only(f"max_wrapping_ttl = {written}").max_wrapping_ttl == seconds


@pytest.mark.parametrize(
    ("written", "expires"),
    [
        ('""', None),
        ("5", 5),
        ('"-1"', -1),
        ('"1970-01-01T00:01:00Z"', 60),
        ('"1970-01-01T02:01:00.5+02:00"', 60.5),
    ],
)
def test_expirations_are_unix_times(written: str, expires: float | None) -> None:
    assert only(f"expiration = {written}").expires == expires


@pytest.mark.parametrize(
    ("written", "limit"), [("-1", 0), ('"010"', 8), ('"-0x1"', 0), ('"7"', 7), ('"0"', 0)]
)
def test_pagination_limits_are_integers_in_any_base_and_negative_ones_are_none(
    written: str, limit: int
) -> None:
    assert only(f"pagination_limit = {written}").pagination_limit == limit


def test_a_control_group_is_read_whole() -> None:
    rule = only(
        'control_group { ttl = "1h" self_auth_allowed = true factor "f" { controlled_capabilities = ["read"] '
        'identity { group_names = ["g", "h"] approvals = 2 } } }'
    )
    assert rule.control_group == ControlGroup(3600, True, (ControlFactor("f", ("read",), ("g", "h"), 2),))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path 'a' {}", "At 1:6: illegal char"),
        ("name = []", "At 1:8: root.name: unknown type for string *ast.ListType"),
        ("name {}", "At -: root.name: unknown type for string *ast.ObjectList"),
        (
            "foo = 1\nbar {}",
            "2 errors occurred:\n\t* invalid key on line 1\n\t* invalid key on line 0\n\n",
        ),
        ('path = "a"', 'path "path": cannot check HCL keys of type *ast.LiteralType'),
        (
            'path "a{{" { x = 1 }',
            'path "a{{": failed to validate policy templating: unbalanced templating characters',
        ),
        ('path "/+*" {}', 'path "/+*": path "+*": invalid use of wildcards (\'+*\' is forbidden)'),
        (
            '{"path":{"a":{"capabilities":[["read"]]}}}',
            'path "a": path "a": At -: root.Capabilities[0]: unknown type for string *ast.ListType',
        ),
    ],
)
def test_a_text_that_is_no_policy_is_refused_in_openbaos_words(text: str, message: str) -> None:
    assert fault(text) == message


WRONG_RULES = [
    ("foo = 1", "1 error occurred:\n\t* invalid key on line 1\n\n"),
    ('capabilities = ["bogus"]', 'path "a": invalid capability'),
    ('capabilities = "read"', 'path "a": At 1:27: unknown slice type: *ast.LiteralType'),
    (
        "capabilities = [true]",
        'path "a": At 1:28: root.Capabilities[0]: unknown type for string *ast.LiteralType',
    ),
    (
        "capabilities = [{}]",
        'path "a": At 1:28: root.Capabilities[0]: unknown type for string *ast.ObjectType',
    ),
    ("capabilities = { a = 1 }", 'path "a": At -: unknown slice type: *ast.ObjectItem'),
    ('policy = "x"', 'path "a": invalid policy'),
    ("policy = true", 'path "a": At 1:21: root.Policy: unknown type for string *ast.LiteralType'),
    (
        'allowed_parameters = "x"',
        'path "a": At 1:33: root.allowed_parameters: not an object type for map (*ast.LiteralType)',
    ),
    (
        "pagination_limit = true",
        'path "a": At 1:31: root.pagination_limit: unknown type *ast.LiteralType',
    ),
    ("pagination_limit = {}", 'path "a": At -: root.pagination_limit: unknown type *ast.ObjectList'),
    ('pagination_limit = "x"', 'path "a": pagination_limit: strconv.ParseInt: invalid syntax'),
    (
        'expiration = "2030-01-01"',
        'path "a": invalid expiration time: could not parse string as date and time',
    ),
    (
        'expiration = "2030-02-30T00:00:00Z"',
        'path "a": invalid expiration time: could not parse string as date and time',
    ),
    ("min_wrapping_ttl = true", "error parsing min_wrapping_ttl: could not parse duration from input"),
    ('max_wrapping_ttl = "x"', "error parsing max_wrapping_ttl: time: invalid duration"),
    (
        'max_wrapping_ttl = "-1.5"',
        "error parsing max_wrapping_ttl: time: missing unit in duration",
    ),
    (
        'max_wrapping_ttl = "1s1w"',
        "error parsing max_wrapping_ttl: time: unknown unit in duration",
    ),
    (
        'max_wrapping_ttl = "xd"',
        "error parsing max_wrapping_ttl: strconv.ParseInt: invalid syntax",
    ),
    (
        'max_wrapping_ttl = "99999999999999h"',
        "error parsing max_wrapping_ttl: time: invalid duration",
    ),
    (
        "min_wrapping_ttl = 2 max_wrapping_ttl = 1",
        "max_wrapping_ttl cannot be less than min_wrapping_ttl",
    ),
]


@pytest.mark.parametrize(("extra", "message"), WRONG_RULES)
def test_a_rule_that_is_wrong_is_refused_in_openbaos_words(extra: str, message: str) -> None:
    assert fault(f'path "a" {{ {extra} }}') == f'path "a": {message}'


FACTOR = 'factor "f" {{ controlled_capabilities = [{}] identity {{ group_names = [{}] approvals = {} }} }}'


@pytest.mark.parametrize(
    ("inside", "message"),
    [
        ("= 1", "cannot check HCL keys of type *ast.LiteralType"),
        ("{}", "requires at least one factor but had none"),
        ("{ foo = 1 }", "invalid key on line 1"),
        ("{ foo {} }", "invalid key on line 0"),
        ('{ ttl = "x" }', "path control_group: invalid ttl: time: invalid duration"),
        ("{ " + FACTOR.format("", '"g"', 1) + " }", "factor 0: missing controlled capabilities"),
        (
            "{ " + FACTOR.format('"bogus"', '"g"', 1) + " }",
            "path control_group Operation(s) not valid",
        ),
        ("{ " + FACTOR.format('"read"', '"g"', 0) + " }", "factor 0: missing required approvals"),
        ("{ " + FACTOR.format('"read"', "", 1) + " }", "factor 0: missing approving groups"),
        (
            "{ factor {} }",
            "error handling control_group factor: 1 error occurred:\n\t* path control_group factor: require name key\n\n",
        ),
        (
            '{ factor "f" { x = 1 } }',
            "error handling control_group factor: 1 error occurred:\n\t* path control_group factor: invalid key on line 1\n\n",
        ),
    ],
)
def test_a_control_group_that_is_wrong_is_refused_in_openbaos_words(inside: str, message: str) -> None:
    expected = f'path "a": error handling control_group: 1 error occurred:\n\t* {message}\n\n'
    assert fault(f'path "a" {{ control_group {inside} }}') == expected


@given(
    st.one_of(st.text(), st.text('pathcbil{}[]="+*/ \n', max_size=60).map(lambda t: f'path "a" {{ {t} }}'))
)
def test_any_text_is_a_policy_or_refused_as_none(text: str) -> None:
    try:
        outcome: object = parse_policy("p", text)
    except PolicyError as error:
        outcome = error
    assert isinstance(outcome, Policy | PolicyError)
