# SPDX-License-Identifier: EUPL-1.2
"""A server that was asked nothing while another one changed much: its first answer is as good as any."""

from collections.abc import Generator
from typing import Any, Final

import pytest

from tests.routes.driver import Application
from tests.shared import Shared
from vault.barrier.failure import BarrierFailure
from vault.storage.protocol import StorageFailure

SEAL: Final = 'seal "shamir" { shares = 1 threshold = 1 }'
Both = tuple[Application, Application]


@pytest.fixture
def both(shared: Shared) -> Generator[Both]:
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        yield one, other


@pytest.mark.parametrize(
    ("path", "body", "later"),
    [
        ("sys/namespaces/team", {}, {"custom_metadata": {"a": "b"}}),
        ("sys/mounts/more", {"type": "kv"}, {"default_lease_ttl": "1h"}),
        ("sys/policies/acl/more", {"policy": 'path "a" { capabilities = ["read"] }'}, {"policy": "# none"}),
        ("sys/quotas/rate-limit/more", {"rate": 1000}, {"rate": 2000}),
        ("sys/config/cors", {"allowed_origins": "https://a.example"}, {"allowed_origins": "*"}),
    ],
)
@pytest.mark.parametrize("keys", [["sys/rotate"], ["sys/rotate/root", "sys/rotate"]])
def test_what_changed_before_the_keys_did_and_again_is_read_with_the_first_request(
    both: Both, path: str, body: object, later: object, keys: list[str]
) -> None:
    """What is told of first is read as it is now, under keys that are told of last."""
    one, other = both
    assert other.request("GET", "/v1/secret/config", token="root").status == 200
    verb = "PATCH" if "namespaces" in path else "PUT"
    again = f"{path}/tune" if "mounts" in path else path
    asked = [("PUT", path, body), *(("PUT", key, {}) for key in keys), (verb, again, later)]
    for method, target, sent in asked:
        done(one, method, target, sent)
    done(other, "GET", "secret/config")
    done(other, "GET", path)
    assert "failed" not in other.log.getvalue()


@pytest.fixture
def team(both: Both) -> str:
    """A namespace with keys of its own, open on both; its share."""
    one, other = both
    share: str = done(one, "PUT", "sys/namespaces/team", {"seal": SEAL})["data"]["key_shares"][0]
    for each in both:
        done(each, "PUT", "sys/namespaces/team/unseal", {"key": share})
    done(one, "PUT", "team/sys/mounts/kv", {"type": "kv"})
    assert other.request("GET", "/v1/team/kv/nothing", token="root").status == 404
    return share


def test_keys_of_a_namespace_are_followed_before_its_mounts_where_everything_is_read_anew(
    both: Both, team: str
) -> None:
    """Sealing a namespace is a change that nobody owns, so that the other one drops all that it knows."""
    one, other = both
    share = done(one, "PUT", "sys/namespaces/else", {"seal": SEAL})["data"]["key_shares"][0]
    done(one, "PUT", "sys/namespaces/else/unseal", {"key": share})
    for path, body in (("rotate/root", {}), ("rotate", {}), ("mounts/more", {"type": "kv"})):
        done(one, "PUT", f"team/sys/{path}", body)
    done(one, "PUT", "sys/namespaces/else/seal")
    done(other, "GET", "secret/config")
    assert "more/" in done(other, "GET", "team/sys/mounts")["data"]
    assert "failed" not in other.log.getvalue()


def test_a_look_that_failed_does_not_keep_the_next_one_from_following(
    both: Both, team: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It drops everything then. The new shares of the namespace are unknown to the other one, so it is sealed there."""
    one, other = both
    share = {"secret_shares": 1, "secret_threshold": 1}
    begun = done(one, "PUT", "team/sys/rotate/root/init", share)["data"]
    fresh = done(one, "PUT", "team/sys/rotate/root/update", {"key": team, "nonce": begun["nonce"]})["data"]
    done(one, "PUT", "team/sys/rotate", {})
    done(one, "PUT", "team/sys/mounts/more", {"type": "kv"})
    with monkeypatch.context() as patched:
        patched.setattr(other.vault.ground.barrier, "refresh", _fail)
        assert other.request("GET", "/v1/secret/config", token="root").status == 500
    done(other, "GET", "secret/config")
    assert other.request("GET", "/v1/team/sys/mounts", token="root").status == 503
    done(other, "PUT", "sys/namespaces/team/unseal", {"key": fresh["keys"][0]})
    assert "more/" in done(other, "GET", "team/sys/mounts")["data"]


def test_one_that_is_asked_nothing_knows_what_changed_all_the_same(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each round of timers: else a commit would be compared with all that changed since, and the next look be long."""
    one, other = both
    done(other, "GET", "secret/config")
    follower, background = other.vault.ground.follower, other.vault._background
    assert background._each_round is not None
    with monkeypatch.context() as patched:
        patched.setattr(other.vault.ground.barrier, "refresh", _break)
        done(one, "PUT", "sys/rotate", {})
        before = follower.epoch
        other.run(background._each_round())
    other.run(background._each_round())
    assert follower.epoch > before


async def _break() -> None:
    raise BarrierFailure("it is damaged")


async def _fail() -> None:
    raise StorageFailure("it is away")


def done(server: Application, method: str, path: str, body: object = None) -> Any:
    """Ask a server for what it must do, and return the answer."""
    answer = server.request(method, f"/v1/{path}", body, token="root")
    assert answer.status < 300, (path, answer.status, answer.body)
    return answer.json() if answer.body else None
