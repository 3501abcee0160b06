# SPDX-License-Identifier: EUPL-1.2
"""A server that was asked nothing while another one changed much: its first answer is as good as any."""

from collections.abc import Generator

import pytest

from tests.routes.driver import Application
from tests.shared import Shared

Both = tuple[Application, Application]


@pytest.fixture
def both(shared: Shared) -> Generator[Both]:
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        yield one, other


@pytest.mark.parametrize(
    ("path", "body", "later"),
    [
        ("sys/namespaces/team", {}, {"custom_metadata": {"a": "b"}}),
        ("sys/mounts/more", {"type": "kv"}, {"type": "kv"}),
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
    again = "PATCH" if "namespaces" in path else "PUT"
    asked = [("PUT", path, body), *(("PUT", key, {}) for key in keys), (again, path, later)]
    for method, target, sent in asked:
        answer = one.request(method, f"/v1/{target}", sent, token="root")
        assert answer.status < 300 or target == "sys/mounts/more", (target, answer.body)
    assert other.request("GET", "/v1/secret/config", token="root").status == 200
    assert other.request("GET", f"/v1/{path}", token="root").status == 200
    assert "failed" not in other.log.getvalue()
