# SPDX-License-Identifier: EUPL-1.2
"""sys/policies/password: rules for passwords, what is refused of them, and passwords made by them."""

import base64

from tests.conformance.scenario import Scenario, delete, get, login, lst, patch, policy, post, put
from tests.conformance.scenarios.acl import rule

P = "sys/policies/password"
GOOD = 'length = 20\nrule "charset" {\n  charset = "abcde"\n}\n'
ONE = 'length = 12\nrule "charset" { charset = "a" min-chars = 1 }'
"""Rules that only one password obeys, so that both servers answer it."""


def _charset(inside: str, length: str = "20") -> str:
    return f'length = {length}\nrule "charset" {{ {inside} }}'


REFUSED = (
    _charset('charset = "ab"', "3"),
    _charset('charset = "ab"', "101"),
    _charset('charset = "ab"', "0"),
    _charset('charset = "ab"', "-1"),
    _charset('charset = "ab"', '"20"'),
    _charset('charset = "ab"', "true"),
    _charset('charset = "ab"', "[20]"),
    _charset('charset = "ab"', "{ a = 1 }"),
    _charset('charset = ""'),
    _charset(""),
    _charset("min-chars = 5"),
    _charset('charset = "a\\u0001"'),
    _charset('charset = "a\u00a0"'),
    _charset('charset = "a\\u0001" min-chars = 7', "-5"),
    _charset("charset = 5"),
    _charset("charset = 1.5"),
    _charset("charset = true"),
    _charset('charset = ["a"]'),
    _charset("charset = []"),
    _charset('charset = { a = "b" }'),
    _charset('charset = "ab" min-chars = "3"'),
    _charset('charset = "ab" min-chars = true'),
    _charset('charset = "ab" min-chars = 30'),
    _charset('charset = "ab" min-chars = 3', "4") + '\nrule "charset" { charset = "c" min-chars = 2 }',
    'rule "charset" { charset = "abcde" }',
    "length = 20",
    "length = 0",
    " ",
    "{}",
    "garbage {",
    "[]",
    'length = 20\nrule "nope" { charset = "abc" }',
    'length = 20\nrule "Charset" { charset = "abc" }',
    'length = 20\nrule "" { charset = "abc" }',
    'length = 20\nrule "charset" "x" { charset = "abc" }',
    'length = 20\nRule "charset" { charset = "abc" }',
    'length = 20\nrule { charset = "abc" }',
    "length = 20\nrule {}",
    'length = 20\nrule = "x"',
    "length = 20\nrule = 5",
    'length = 20\nrule = ["a"]',
    '{"length": 20}',
    '{"length": 20, "rule": "x"}',
    '{"length": 20, "rule": []}',
    '{"length": "20", "rule": [{"charset": [{"charset": "abc"}]}]}',
    '{"length": null, "rule": [{"charset": [{"charset": "abc"}]}]}',
)

TAKEN = (
    _charset('charset = "a"', "4"),
    _charset('charset = "a"', "100"),
    _charset('charset = "a"', "20.5"),
    _charset('charset = "a"') + "\nlength = 30",
    _charset('charset = "b" charset = "a"'),
    _charset('charset = "a" min-chars = 1.9'),
    _charset('charset = "a" min-chars = -1'),
    _charset('charset = "a" bogus = 1 min_chars = 50'),
    _charset('charset = "aaaa"'),
    _charset('charset = "\u00e9"'),
    _charset('charset = " "'),
    _charset('charset = "a" min-chars = 18') + '\nrule "charset" { charset = "a" min-chars = -5 }',
    'length = 20\nrule { charset { charset = "a" } }',
    'length = 20\nrule = [{ charset = [{ charset = "a" }] }]',
    'length = 20 rule "charset" { charset = "a" } foo = 1',
    '{"length": 20, "rule": [{"charset": {"charset": "a"}}]}',
    '{"length": 20, "rule": {"charset": {"charset": "a", "min-chars": 1}}}',
    '{"length": 2e1, "rule": [{"charset": [{"charset": "a"}]}]}',
)

_OTHER_KINDS = ('rule "nope"', 'rule "Charset"', 'rule ""')
RULES = [
    post(f"{P}/bad", {"policy": text}, divergence="DV-02" if any(one in text for one in _OTHER_KINDS) else "")
    for text in REFUSED
] + [get(f"{P}/bad")]

KEEP = [
    lst(P),
    get(P),
    post(f"{P}/a", {"policy": GOOD}),
    post(f"{P}/a", {}),
    post(f"{P}/a", {"policy": ""}),
    post(f"{P}/a", {"policy": 5}),
    post(f"{P}/a", {"policy": ["a"]}),
    post(f"{P}/a", {"policy": GOOD, "other": 1}),
    get(f"{P}/a"),
    lst(P),
    lst(f"{P}/"),
    get(f"{P}?list=true"),
    put(f"{P}/b64", {"policy": base64.b64encode(GOOD.encode()).decode()}),
    get(f"{P}/b64"),
    post(f"{P}/a/b", {"policy": GOOD}),
    post(f"{P}/UPPER", {"policy": GOOD}),
    get(f"{P}/upper"),
    get(f"{P}/UPPER"),
    post(f"{P}/a.b-c_d", {"policy": GOOD}),
    lst(P),
    lst(f"{P}/a/"),
    lst(f"{P}?after=a&limit=1"),
    get(f"{P}/nope"),
    delete(f"{P}/nope"),
    delete(f"{P}/a"),
    get(f"{P}/a"),
    get(f"{P}/a/"),
    get(f"{P}/a/b"),
    post(P, {"policy": GOOD}),
    delete(P),
    patch(f"{P}/b64", {"policy": GOOD}),
    get(f"{P}/a/b", token=""),
    policy("passwords", rule(f"{P}/weak/generate", "read")),
    login("w", "passwords"),
    post(f"{P}/weak", {"policy": ONE}),
    get(f"{P}/weak/generate", token="{w}"),
    get(f"{P}/weak", token="{w}"),
    post(f"{P}/weak", {"policy": GOOD}, token="{w}"),
    delete(f"{P}/weak", token="{w}"),
    lst(P, token="{w}"),
]

MADE = [
    one
    for number, text in enumerate(TAKEN)
    for one in (post(f"{P}/made{number}", {"policy": text}), get(f"{P}/made{number}/generate"))
] + [
    get(f"{P}/nope/generate"),
    get(f"{P}/made0/generate/"),
    post(f"{P}/made0/generate", {}),
    lst(f"{P}/made0/generate"),
    delete(f"{P}/made0/generate"),
    get(f"{P}/made0/generate?format=hex"),
    post(f"{P}/three", {"policy": GOOD}),
    get(f"{P}/three/generate", shape=2),
    post(
        f"{P}/narrow",
        {"policy": _charset('charset = "ab"', "100") + '\nrule "charset" { charset = "c" min-chars = 99 }'},
    ),
    get(f"{P}/narrow/generate"),
]

SCENARIOS = [
    Scenario("passwords", "keep", KEEP),
    Scenario("passwords", "refused", RULES),
    Scenario("passwords", "made", MADE),
]
