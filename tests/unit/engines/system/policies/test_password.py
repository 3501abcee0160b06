# SPDX-License-Identifier: EUPL-1.2
"""Password policies: what is read of them, and that passwords are drawn evenly from all that they allow."""

from collections import Counter
from itertools import product

import pytest

from tests.unit.engines.system.house import House, play
from vault.engines.system.policies.password import Password, PasswordPolicyEngine
from vault.engines.system.policies.password_rules import (
    ROUND,
    PasswordRule,
    PasswordRules,
    RulesError,
    candidates,
    read_rules,
)
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool

FIVE = 'length = 20\nrule "charset" { charset = "abcde" min-chars = 2 }'
PATH = "sys/policies/password"


class Counting:
    """Bytes that go round: 0, 1, …, 255, 0, …"""

    def __init__(self, at: int) -> None:
        self.at = at

    def __call__(self, count: int) -> bytes:
        self.at += count
        return bytes((self.at - count + number) % 256 for number in range(count))


async def _house() -> House:
    house = House()
    return await house.open(PasswordPolicyEngine(house.barrier, house.entropy, Pool()))


def test_rules_are_read_from_hcl_and_from_json() -> None:
    expected = PasswordRules(20, (PasswordRule("abcde", 2),))
    assert read_rules(FIVE) == expected
    assert read_rules('{"length": 20, "rule": {"charset": {"charset": "abcde", "min-chars": 2}}}') == expected


def test_a_refusal_repeats_no_long_word() -> None:
    with pytest.raises(RulesError) as caught:
        read_rules('length = 20\nrule "correct horse battery staple" {}')
    assert "horse" not in str(caught.value)


def test_every_byte_that_would_prefer_a_character_is_dropped() -> None:
    rules = PasswordRules(85, (PasswordRule("abc", 0),))
    expected = "".join("abc"[byte % 3] for byte in [*range(200, 255), *range(30)])
    assert next(candidates(rules, Counting(200))) == expected
    rules = PasswordRules(100, (PasswordRule("".join(map(chr, range(0x4E00, 0x4E00 + 300))), 0),))
    assert len(next(candidates(rules, Entropy().bytes)) or "") == 100


def test_all_passwords_that_fit_come_equally_often_and_no_other() -> None:
    rules = PasswordRules(4, (PasswordRule("ab", 1), PasswordRule("01", 2)))
    allowed = {
        "".join(one)
        for one in product("ab01", repeat=4)
        if sum(c in "ab" for c in one) >= 1 and sum(c in "01" for c in one) >= 2
    }
    random, drawn = Entropy().bytes, Counter[str]()
    for _ in range(8000):
        drawn.update(one for one in candidates(rules, random) if one)
    assert set(drawn) == allowed
    mean = 8000 / len(allowed)
    chi = sum((count - mean) ** 2 / mean for count in drawn.values())
    assert chi < 2 * len(allowed)  # 159 degrees of freedom: beyond this once in 10^15 runs


def test_rules_that_nothing_fits_end() -> None:
    rules = PasswordRules(60, (PasswordRule("ab", 0), PasswordRule("c", 60)))
    tries = list(candidates(rules, Entropy().bytes))
    assert set(tries) == {None}
    assert len(tries) * ROUND >= 8000


def test_a_policy_is_kept_and_makes_passwords() -> None:
    async def scenario() -> None:
        house = await _house()
        assert (await house("LIST", PATH)).status == 404
        assert (await house("POST", f"{PATH}/five", {"policy": FIVE})).status == 204
        assert (await house("GET", f"{PATH}/five")).data == {"policy": FIVE}
        assert (await house("LIST", PATH)).data == {"keys": ["five"]}
        first, second = [(await house("GET", f"{PATH}/five/generate")).data["password"] for _ in range(2)]
        assert first != second and set(first + second) <= set("abcde") and len(first) == 20
        assert (await house("DELETE", f"{PATH}/five")).status == 204
        assert (await house("GET", f"{PATH}/five/generate")).status == 404

    play(scenario)


def test_what_is_no_policy_is_refused() -> None:
    async def scenario() -> None:
        house = await _house()
        for text in ("", "length = 20", "garbage {", "/////w=="):
            answer = await house("POST", f"{PATH}/bad", {"policy": text})
            assert (answer.status, "hunter2" in answer.error) == (400, False)
        assert (await house("POST", f"{PATH}/x/generate", {"policy": FIVE})).status == 405
        assert (await house("DELETE", f"{PATH}/x/generate")).status == 405
        assert (await house("LIST", PATH)).status == 404

    play(scenario)


def test_rules_too_narrow_to_be_met_are_said_to_be() -> None:
    async def scenario() -> None:
        house = await _house()
        text = (
            'length = 60\nrule "charset" { charset = "ab" }\nrule "charset" { charset = "c" min-chars = 60 }'
        )
        await house("POST", f"{PATH}/narrow", {"policy": text})
        answer = await house("GET", f"{PATH}/narrow/generate")
        assert (answer.status, "timed out" in answer.error) == (500, True)

    play(scenario)


def test_a_password_is_not_printed() -> None:
    assert "hunter2" not in repr(Password("hunter2"))


_RULES = "invalid password policy: unable to parse rules: "
_CHARSET = (
    f"{_RULES}unable to parse rule charset: failed to parse charset restriction: decoding failed due to the "
)
_ERRORS = "following error(s):\n\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("length = 0", "2 errors occurred:\n\t* length must be > 0\n\t* no charset specified\n\n"),
        ('length = 20\nrule "charset" { charset = "a\\u0001" }', "non-printable character in charset"),
        ('length = 5\nrule "charset" { charset = "a" min-chars = 6 }', "at least 6 characters but 5 is"),
        ('length = 3\nrule "charset" { charset = "a" }', "passwords must be between 4 and 100 characters"),
        ('length = "4"', "'length' expected type 'int', got unconvertible type 'string'"),
        ("length = true", "'length' expected type 'int', got unconvertible type 'bool'"),
        ("length = [4]", "'length' expected type 'int', got unconvertible type '[]interface {}'"),
        ("length = { a = 1 }", "got unconvertible type '[]map[string]interface {}'"),
        ("rule = 5", "unable to retrieve rules: '' source data must be an array or slice, got int"),
        ("rule = [1.5]", "'[0]' expected type 'map[string]interface {}', got unconvertible type 'float64'"),
        ("rule {}", f"{_RULES}unable to get rule info: rule is empty"),
        ('rule { charset = "a" }', "unable to get rule data: '' source data must be an array or slice"),
        ('length = 9\nrule "other" {}', f"{_RULES}unrecognized rule type: it is charset"),
        ('length = 9\nrule "charset" "x" { charset = "a" }', "no charset specified"),
        ('length = 9\nrule "charset" { charset = 5 }', f"{_CHARSET}{_ERRORS}'charset' source data must be"),
        ('length = 9\nrule "charset" { charset = ["a"] }', "'charset[0]' expected type 'int32'"),
        (
            'length = 9\nrule "charset" { charset = { a = 1 } }',
            "unconvertible type 'map[string]interface {}'",
        ),
        ('length = 9\nrule "charset" { charset = [] }', "no charset specified"),
        (
            'length = 9\nrule "charset" { charset = "a" min-chars = "1" }',
            f"{_CHARSET}{_ERRORS}'min-chars' exp",
        ),
    ],
)
def test_what_is_wrong_with_rules_is_said_as_the_field_says_it(text: str, words: str) -> None:
    with pytest.raises(RulesError) as caught:
        read_rules(text)
    assert words in str(caught.value)


def test_a_rule_may_lie_within_a_rule() -> None:
    expected = PasswordRules(20, (PasswordRule("ab", 0),))
    assert read_rules('length = 20\nrule { charset { charset = "ab" } }') == expected
    assert read_rules('length = 20\nrule = [{ charset = [{ charset = "ab" }] }]') == expected


def test_sl_71_long_rules_are_refused_and_many_of_them_cost_no_more_to_try() -> None:
    with pytest.raises(RulesError, match="longer than 32768 characters"):
        read_rules("#" * 32_769)
    rule = 'rule "charset" { charset = "%s" min-chars = %d }\n'
    impossible = [rule % (chr(0x4E00 + number), 1) for number in range(100)]
    rules = read_rules("length = 100\n" + "".join(impossible))
    looks = sum(1 for _ in candidates(rules, bytes))
    assert looks * ROUND <= 8192 * 4 / 100 + ROUND
    doubled = [rule % ("a" * 1000, -1)] * 30
    assert read_rules("length = 20\n" + "".join(doubled)).demands == []


def test_the_same_rules_are_read_once() -> None:
    text = 'length = 21\nrule "charset" { charset = "abc" }'
    assert read_rules(text) is read_rules(text)
