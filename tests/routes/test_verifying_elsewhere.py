# SPDX-License-Identifier: EUPL-1.2
"""A service that verifies our tokens with the stock library, and with the program of docs/nhi.md."""

import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from biscuit_auth import Biscuit, PublicKey
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.jwk import ECKey

from nhi.biscuit.routes import publication_routes as published
from tests.routes.driver import Application
from tests.routes.issuer import DB, OTHER, READS, TO_DB, Issuer

MOST_LINES = 60
"""Of code and comments: it is copied by people who have to understand it."""
GUIDE = Path(__file__).parents[2] / "docs" / "nhi.md"
RIGHTS = (
    'path "secret/data/app/*" { capabilities = ["read", "update"] }\n'
    'path "secret/data/app/other" { capabilities = ["deny"] }\n'
    'path "secret/metadata/app" { capabilities = ["list"] }\n'
)


@pytest.fixture
def issuer() -> Generator[Issuer]:
    application = Application()
    made = Issuer(application)
    made.root("sys/policies/acl/app", {"policy": RIGHTS})
    made.root(
        "nhi/registrations/r1",
        {"workload": "w1", "policies": "app", "offline": True, "audiences": "vault,billing"},
    )
    yield made
    application.close()


def _program() -> dict[str, Any]:
    """The program of the guide, which asks our application in place of a URL."""
    [text] = [
        code
        for code in re.findall(r"```python\n(.+?)```", GUIDE.read_text(), re.DOTALL)
        if "class Verifier" in code
    ]
    assert len([line for line in text.splitlines() if line.strip()]) <= MOST_LINES
    space: dict[str, Any] = {}
    exec(compile(text, "guide", "exec"), space)  # noqa: S102 -- it is our own guide that is tried
    return space


def _fetch(issuer: Issuer) -> Callable[[str], Any]:
    return lambda path: issuer.application.request("GET", f"/v1/nhi/{path}").json()["data"]


def _verifier(issuer: Issuer) -> Any:
    found = _program()["Verifier"]()
    found.refresh(_fetch(issuer))
    return found


def _allows(verifier: Any, held: str, operation: str, path: str, audience: str = "billing") -> bool:
    """Whether the program lets a token do something: it raises where it does not."""
    try:
        verifier.check(held, audience, operation, path)
    except Exception:  # noqa: BLE001 -- whatever it is
        return False
    return True


def test_the_program_of_the_guide_obeys_rights_narrowing_and_revocation(issuer: Issuer) -> None:
    token = issuer.issue()
    narrow = issuer.narrow(token, READS, TO_DB)
    verifier = _verifier(issuer)
    for held, operation, path, verdict in (
        (token, "read", DB, True),
        (token, "update", DB, True),
        (token, "delete", DB, False),
        (token, "read", OTHER, False),
        (token, "list", "secret/metadata/app/", True),
        (token, "read", "secret/metadata/app/", False),
        (token, "read", "secret/data/elsewhere", False),
        (narrow, "read", DB, True),
        (narrow, "update", DB, False),
        (narrow, "read", "secret/data/app/x", False),
        (issuer.narrow(narrow, 'policy("root");'), "update", DB, False),
        (f"{token[:-8]}AAAAAAAA", "read", DB, False),
        ("x", "read", DB, False),
    ):
        assert (operation, path, _allows(verifier, held, operation, path)) == (operation, path, verdict)
    assert not _allows(verifier, token, "read", DB, audience="elsewhere")
    assert not _allows(_program()["Verifier"](), token, "read", DB)
    issuer.root("nhi/revoke", {"token": narrow})
    issuer.application.clock.sleep(6)
    verifier.refresh(_fetch(issuer))
    assert [_allows(verifier, one, "read", DB) for one in (narrow, token)] == [False, True]
    issuer.root("nhi/workloads/w1/revoke")
    issuer.application.clock.sleep(6)
    verifier.refresh(_fetch(issuer))
    assert not _allows(verifier, token, "read", DB)


def test_a_list_is_signed_says_until_when_it_counts_and_is_not_made_for_every_caller(issuer: Issuer) -> None:
    verifier = _verifier(issuer)
    fetch = _fetch(issuer)
    first = fetch("revocations")
    assert first["max_age"] == published.MAX_AGE
    assert fetch("revocations")["list"] == first["list"]
    head, body, signature = first["list"].split(".")
    claims = json.loads(urlsafe_b64decode(f"{body}=="))
    assert claims["exp"] - claims["iat"] == published.MAX_AGE
    forged = f"{head}.{body}.{signature[::-1]}"
    with pytest.raises(InvalidSignature):
        verifier.refresh(lambda path: {"list": forged} if path == "revocations" else fetch(path))
    token = issuer.issue()
    assert _allows(verifier, token, "read", DB)
    issuer.application.clock.sleep(published.ANEW + 1)
    issuer.application.clock.set_wall(-published.MAX_AGE - 20)
    verifier.refresh(fetch)
    assert not _allows(verifier, token, "read", DB)
    issuer.application.clock.sleep(published.ANEW + 1)
    issuer.application.clock.set_wall(published.MAX_AGE + 20)
    verifier.refresh(fetch)
    assert _allows(verifier, token, "read", DB)


def test_a_list_of_a_p256_key_is_a_jws_that_a_stock_library_verifies() -> None:
    application = Application()
    issuer = Issuer(application, "p256")
    [key] = issuer.root("nhi/public-keys", method="GET")["data"]["keys"]
    point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(key["key_bytes"]))
    signed = _fetch(issuer)("revocations")["list"]
    found = jws.deserialize_compact(signed, ECKey.import_key(point), algorithms=["ES256"])
    assert json.loads(found.payload)["complete"] is True
    application.close()


def test_root_keys_are_published_as_the_specification_has_it(issuer: Issuer) -> None:
    [key] = issuer.application.request("GET", "/v1/nhi/.well-known/biscuit-web-keys").json()
    known = PublicKey(f"{key['algorithm']}/{key['key_bytes']}")
    assert Biscuit.from_base64(issuer.issue(), known).block_count() == 1
    assert key["issuer"].endswith("/v1/nhi")


def test_more_revocations_than_a_list_has_make_it_say_so(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "MOST", 2)
    for place in range(3):
        issuer.root("nhi/revoke", {"id": f"{place:032x}"})
    verifier = _verifier(issuer)
    assert not _allows(verifier, issuer.issue(), "read", DB)


def test_rights_that_facts_cannot_say_exactly_are_not_issued(issuer: Issuer) -> None:
    for rights in (
        'path "a" { capabilities = ["update"] required_parameters = ["x"] }',
        'path "a/{{identity.entity.id}}" { capabilities = ["read"] }',
        "".join(
            f'path "secret/data/{place}{"x" * 40}" {{ capabilities = ["read"] }}\n' for place in range(200)
        ),
    ):
        issuer.root("sys/policies/acl/app", {"policy": rights})
        refused = issuer.application.request("POST", "/v1/nhi/issue/r1", {}, token="root")
        assert (refused.status, "policies" in refused.json()["errors"][0]) == (400, True)
