# SPDX-License-Identifier: EUPL-1.2
"""An ACL as facts of a token, asked by the stock Biscuit library, against the real OpenBao: no difference."""

import random
from collections.abc import Sequence

import pytest
from biscuit_auth import AuthorizationError, AuthorizerBuilder, Biscuit, BiscuitBuilder, KeyPair

from nhi.biscuit.issue.grants import GRANT, LISTING, RULE, Grant, exported
from tests.patience import patient
from tests.property.openbao import OpenBao
from tests.property.test_policy_differential import NOW, SEED, near, policy_text
from vault.framework.errors import Malformed
from vault.policy.text.parse import Policy, parse_policy

pytestmark = pytest.mark.loopback

_SOMEWHERE = parse_policy("z", 'path "zzz" { capabilities = ["list"] }')
"""So that there is something to list, and what is asked of a path that ends in a slash counts as a listing."""
WORDS = ("create", "delete", "list", "patch", "read", "scan", "sudo", "update")


def token(grants: Sequence[Grant]) -> Biscuit:
    """A token that has these grants and nothing else."""
    builder = BiscuitBuilder("")
    for grant in grants:
        builder.add_code(
            f"{grant.fact}({{p}}, {{c}}, {{x}});",
            {"p": grant.pattern, "c": set(grant.capabilities), "x": set(grant.unless)},
        )
    return builder.build(KeyPair().private_key)


def words(held: Biscuit, path: str, fact: str) -> list[str]:
    """What a verifier with the stock library says that the holder may do on a path."""
    found = []
    for word in WORDS:
        asked = AuthorizerBuilder(
            f"operation({{o}}); resource({{r}}); {RULE.format(fact=fact)};", {"o": word, "r": path}
        )
        try:
            patient(asked).build(held).authorize()
        except AuthorizationError:
            continue
        found.append(word)
    return found or ["deny"]


def _cases(bao: OpenBao, count: int, seed: int) -> int:
    """Compare so many paths; return how many of them something was allowed on."""
    rng = random.Random(seed)
    pool: dict[str, tuple[list[str], Policy]] = {}
    for index in range(300):
        paths, text = policy_text(rng)
        assert bao.write(f"g{index}", text or "# nothing") is None
        pool[f"g{index}"] = paths, parse_policy(f"g{index}", text or "# nothing")
    done = allowed = 0
    while done < count:
        names = sorted(rng.sample(sorted(pool), rng.randint(1, 3)))
        try:
            grants = exported([*(pool[name][1] for name in names), _SOMEWHERE], NOW)
        except Malformed:
            continue
        held = token(grants)
        paths = sorted({near(rng, [path for name in names for path in pool[name][0]]) for _ in range(34)})
        status, answer = bao.ask("POST", "sys/capabilities", {"token": bao.token(names), "paths": paths})
        assert status == 200
        for path in paths:
            fact = LISTING if path.endswith("/") else GRANT
            theirs = answer["data"][path]
            ours = words(held, path.lstrip("/"), fact)
            texts = [pool[name][1].text for name in names]
            assert ours == theirs, (path, ours, theirs, texts, grants)
            done += 1
            allowed += ours != ["deny"]
    return allowed


def test_grants_say_what_openbao_says(bao: OpenBao) -> None:
    assert _cases(bao, 400, SEED) > 50


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_grants_say_what_openbao_says(bao: OpenBao) -> None:
    allowed = sum(_cases(bao, 5_000, SEED + seed) for seed in range(20))
    assert allowed > 10_000


REFUSED = {
    "template": 'path "a/{{identity.entity.id}}" { capabilities = ["read"] }',
    "parameters": 'path "a" { capabilities = ["update"] allowed_parameters = { "x" = [] } }',
    "wrapping": 'path "a" { capabilities = ["read"] min_wrapping_ttl = "5s" }',
    "page": 'path "a" { capabilities = ["list"] pagination_limit = 5 }',
    "expiration": 'path "a" { capabilities = ["read"] expiration = "2100-01-01T00:00:00Z" }',
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_facts_cannot_say_exactly_is_refused(kind: str) -> None:
    with pytest.raises(Malformed):
        exported([parse_policy("p", REFUSED[kind])], NOW)


@pytest.mark.parametrize(
    "path", ['a"b', "a.b", "a\\x", "a|b", "ä/ö", "a$", "^a", "a\nb", "a+b", "a b", "[a]"]
)
def test_a_path_is_never_a_pattern_by_its_characters(path: str) -> None:
    written = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    held = token(exported([parse_policy("p", f'path "{written}" {{ capabilities = ["read"] }}')], NOW))
    assert words(held, path, GRANT) == ["read"]
    for other in (f"{path}x", f"x{path}", path.replace(".", "x") if "." in path else "b", f"{path}\n"):
        assert words(held, other, GRANT) == ["deny"]
