# SPDX-License-Identifier: EUPL-1.2
"""What was made with a Biscuit, of whatever chain and through however many tokens, is never let where that is not."""

import random
from datetime import UTC, datetime

from tests.routes.driver import Application
from tests.routes.issuer import Issuer

POLICIES = {
    "one": 'path "secret/data/a/*" { capabilities = ["create", "read", "update"] }',
    "two": 'path "secret/data/*" { capabilities = ["read"] }\npath "secret/metadata/*" { capabilities = ["list", "read"] }',
    "able": 'path "auth/token/create" { capabilities = ["update", "sudo"] }',
}
PATHS = (
    "secret/data/a/x",
    "secret/data/a/y",
    "secret/data/b/x",
    "secret/metadata/a",
    "auth/token/lookup-self",
)
MAKE = "auth/token/create"
ADDRESSES = ("127.0.0.1", "10.1.2.3", "::1")
CHAINS = 80


def _check(rng: random.Random, now: int) -> str:
    """Return one thing that a holder may demand."""
    prefix = rng.choice(("secret/", "secret/data/a/", "secret/data/b/", "secret/data/a/x", ""))
    words = ", ".join(
        f'"{word}"' for word in rng.sample(["read", "update", "list", "create"], rng.randint(1, 3))
    )
    end = datetime.fromtimestamp(now // 1000 + rng.choice((5, 600, 7200)), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    making = f'resource($r), $r == "{MAKE}"'
    return rng.choice(
        (
            f'check if resource($r), $r.starts_with("{prefix}") or {making};',
            f"check if operation($o), [{words}].contains($o) or {making};",
            f"check if time($t), $t < {end};",
            f"check if time($t), $t > 2020-01-01T00:00:00Z, $t <= {end};",
            'check if client_nets($n), $n.contains("127.0.0.0/8");',
            'check if client_nets($n), $n.contains("10.0.0.0/8") or method("POST");',
            f'check if method("GET") or method("LIST") or {making};',
            'check if namespace_req("");',
        )
    )


def _asked(application: Application, token: str, path: str, method: str) -> bool:
    body: object = {"data": {}} if method == "POST" else None
    return application.request(method, f"/v1/{path}", body, token=token).status != 403


def _descent(rng: random.Random, application: Application, chain: str, held: list[str]) -> list[str]:
    """Return the tokens that could be made with a chain, each with the one before."""
    made, above = [], chain
    for _ in range(rng.randint(1, 4)):
        policies = rng.choice(([], [], held, ["able", rng.choice(held)], [*held, "one"], ["root"]))
        more = rng.choice(
            ({}, {}, {}, {"ttl": "9h"}, {"no_parent": True}, {"period": "9h"}, {"type": "batch"})
        )
        wanted = {**({"policies": policies} if policies else {}), **more}
        answer = application.request("POST", f"/v1/{MAKE}", wanted, token=above)
        if answer.status == 200:
            above = answer.json()["auth"]["client_token"]
            made.append(above)
    return made


def test_nothing_that_was_made_with_a_chain_may_more_than_the_chain() -> None:
    application = Application()
    issuer = Issuer(application)
    for name, text in POLICIES.items():
        issuer.root(f"sys/policies/acl/{name}", {"policy": text})
    for path in PATHS[:3]:
        issuer.root(path, {"data": {}})
    rng = random.Random(20261126)
    lived = allowed = 0
    for _ in range(CHAINS):
        held = ["able", *rng.sample(["one", "two", "default"], rng.randint(1, 3))]
        issuer.root("nhi/registrations/r1", {"workload": "w1", "policies": held})
        now = application.clock.millis()
        blocks = [_check(rng, now) for _ in range(rng.randint(0, 3))]
        chain = issuer.narrow(issuer.issue(), *blocks)
        application.client = (rng.choice(ADDRESSES), 1)
        made = _descent(rng, application, chain, held)
        lived += len(made)
        for later in (0, 10, 900):
            application.clock.sleep(later)
            for _ in range(6):
                path, method = rng.choice(PATHS), rng.choice(("GET", "POST", "LIST"))
                application.client = (rng.choice(ADDRESSES), 1)
                may = _asked(application, chain, path, method)
                for one in made:
                    does = _asked(application, one, path, method)
                    assert may or not does, (blocks, held, path, method)
                    allowed += does
        issuer.root("nhi/revoke", {"token": chain})
        application.client = ("127.0.0.1", 1)
        assert not any(_asked(application, one, path, "GET") for one in made for path in PATHS)
    application.close()
    assert lived > CHAINS // 2
    assert allowed > 5 * CHAINS // 2
