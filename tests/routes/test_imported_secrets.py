# SPDX-License-Identifier: EUPL-1.2
"""Client secrets that came as hashes: they log in, are not guessed, and nobody finds out who has one."""

import hashlib
from urllib.parse import urlencode

import bcrypt
import pytest

from nhi.auth.userpass.decoys import Decoys
from nhi.auth.userpass.passwords import Passwords, argon2id
from tests.routes.issuer import Issuer
from tests.routes.test_proofs import _form, _login, _register
from vault.framework.concurrency.offload import Client


def _imported(kind: str) -> str:
    """Return the hash of `old`."""
    if kind == "sha256":
        return f"sha256:{hashlib.sha256(b'old').hexdigest()}"
    return bcrypt.hashpw(b"old", bcrypt.gensalt(4)).decode() if kind == "bcrypt" else argon2id().hash("old")


@pytest.mark.parametrize("kind", ["sha256", "bcrypt", "argon2id"])
def test_a_secret_that_is_in_use_is_imported_as_its_hash_and_its_name_locked_after_guesses(
    issuer: Issuer, kind: str
) -> None:
    _register(issuer)
    made = issuer.root("nhi/registrations/r/secret", {"secret_hash": _imported(kind), "secret_ttl": "1d"})
    assert made["data"] == {"client_id": "r"}
    shown = issuer.root("nhi/registrations/r", method="GET")["data"]
    assert (shown["secret_origin"], shown["secret_expire_time"] > "2026") == ("imported", True)
    assert [_login(issuer, client_secret=one) for one in ("old", "new", "")] == [200, 403, 403]
    assert [_login(issuer, client_secret="new") for _ in range(5)] == [403] * 5
    assert _login(issuer, client_secret="old") == 403
    issuer.application.clock.sleep(1000)
    assert _login(issuer, client_secret="old") == 200
    issuer.application.clock.sleep(90_000)
    assert _login(issuer, client_secret="old") == 403


def test_a_hash_that_would_keep_the_server_busy_is_not_imported(issuer: Issuer) -> None:
    _register(issuer)
    for wrong in (
        "old",
        "sha256:x",
        "$argon2id$v=19$m=999999,t=1,p=1$c29tZXNhbHRzb21l$c29tZXNhbHRzb21lc29tZXNhbHQ",
        "$2b$17$" + "a" * 53,
    ):
        body = {"secret_hash": wrong}
        refused = issuer.application.request("POST", "/v1/nhi/registrations/r/secret", body, token="root")
        assert refused.status == 400
    secret = issuer.root("nhi/registrations/r/secret")["data"]["client_secret"]
    assert _login(issuer, client_secret=secret) == 200
    issuer.root("nhi/registrations/r/secret", method="DELETE")
    assert _login(issuer, client_secret=secret) == 403


@pytest.mark.parametrize("kind", ["sha256", "bcrypt", "argon2id"])
def test_sl_22_whether_a_name_has_an_imported_secret_is_told_neither_by_work_nor_by_being_locked(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    compared: list[str] = []
    descriptions: set[str] = set()
    match = Passwords.match

    async def seen(self: Passwords, client: Client, password: str, secret: str | None) -> bool:
        compared.append((secret or "").rpartition("$")[0][:20])
        return await match(self, client, password, secret)

    monkeypatch.setattr(Passwords, "match", seen)
    _register(issuer)
    made = issuer.root("nhi/registrations/r1/secret")["data"]["client_secret"]

    def refused(name: str, secret: str = "x") -> list[str]:
        compared.clear()
        body = {"client_id": name, "client_secret": secret}
        answer = issuer.application.request("POST", "/v1/nhi/login", body)
        told = {"grant_type": "client_credentials", **body}
        again = _form(issuer, "token", urlencode(told))
        assert (answer.status, again.json()["error"]) == (403, "invalid_client")
        descriptions.add(again.json()["error_description"])
        return [*compared, answer.body.decode()]

    names = ("r", "r1", "nobody")
    assert [refused(name)[:-1] for name in names] == [[]] * 3
    issuer.root("nhi/registrations/r/secret", {"secret_hash": _imported(kind)})
    for compared_now in (2, 2, 1):
        r, r1, nobody = (refused(name) for name in names)
        assert r == r1 == nobody
        assert len(r) - 1 == (0 if kind == "sha256" else compared_now)
    r, r1, nobody = (refused(name) for name in names)
    assert r == r1 == nobody
    assert len(r) == 1  # they are locked, and nothing is compared
    assert len(descriptions) == 1
    assert _login(issuer, client_id="r1", client_secret=made) == 200
    assert _login(issuer, client_secret="old") == 403


def test_what_stands_for_a_hash_takes_as_long_and_is_always_the_same_for_a_name() -> None:
    decoys = Decoys(b"salt")
    assert decoys.of("a") == ""
    kept = [_imported(kind) for kind in ("sha256", "bcrypt", "argon2id")]
    for one in kept:
        decoys = decoys.with_kind(one)
    assert decoys.with_kind(kept[0]) is decoys
    assert [len(one) for one in decoys.hashes] == [len(one) for one in kept]
    assert [one[:7] for one in decoys.hashes] == [one[:7] for one in kept]
    assert decoys.hashes[2].split("$")[:4] == kept[2].split("$")[:4]
    assert not set(decoys.hashes) & set(kept)
    chosen = [decoys.of(str(name)) for name in range(100)]
    assert set(chosen) == set(decoys.hashes)
    assert chosen == [decoys.of(str(name)) for name in range(100)]
    assert chosen != [Decoys(b"other", decoys.hashes).of(str(name)) for name in range(100)]
    for rounds in range(4, 16):
        decoys = decoys.with_kind(kept[1].replace("$04$", f"${rounds:02}$"))
    assert len(decoys.hashes) == 8
