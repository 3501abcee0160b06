# SPDX-License-Identifier: EUPL-1.2
"""After a revocation and after a seal, no token is left in the server's memory (SL-58)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from tests.fuzz.process import PATIENCE, Client, VaultProcess, initialised, wait_until
from tests.integration.memory import in_memory

pytestmark = pytest.mark.executed

TOKENS = 40


def left(vault: VaultProcess, tokens: list[str]) -> list[str]:
    """Return those of the tokens that are in the writable memory of the server."""
    return [token.decode() for token in in_memory(vault.pid, [token.encode() for token in tokens])]


def work(client: Client) -> None:
    """Ask this and that, so that memory that was freed is used again."""
    for number in range(500):
        client.request("POST", f"/v1/secret/data/{number % 50}", {"data": {"value": "v" * (number % 90)}})
        client.request("GET", f"/v1/sys/{'health' if number % 2 else 'seal-status'}?number={number}")
    for _ in range(70):
        client.request("POST", "/v1/auth/token/create", {"policies": ["reader"], "ttl": "5m"})


def test_tokens_are_gone_from_memory_after_revocation_and_after_seal(tmp_path: Path) -> None:
    with initialised(tmp_path) as vault:
        with vault.client() as client:
            policy = {"policy": 'path "secret/*" { capabilities = ["read"] }'}
            assert client.request("PUT", "/v1/sys/policies/acl/reader", policy).status == 204
            assert client.request("POST", "/v1/secret/data/a", {"data": {"value": "a"}}).status == 200
            tokens = [
                client.request("POST", "/v1/auth/token/create", {"policies": ["reader"]}).json()["auth"][
                    "client_token"
                ]
                for _ in range(TOKENS)
            ]
            for token in tokens:
                with vault.client(token) as reader:
                    assert {reader.request("GET", "/v1/secret/data/a").status for _ in range(5)} == {200}
            assert set(left(vault, tokens)) == set(tokens)  # or it would not look where they are
            gone, kept = tokens[: TOKENS // 2], tokens[TOKENS // 2 :]
            for token in gone:
                assert client.request("POST", "/v1/auth/token/revoke", {"token": token}).status == 204
            work(client)
            wait_until(
                lambda: not left(vault, gone),
                lambda: f"{len(left(vault, gone))} of {len(gone)} revoked tokens",
                pause=1,
            )
            assert client.request("PUT", "/v1/sys/seal").status == 204
            vault.unseal()
            work(client)
            wait_until(
                lambda: not left(vault, kept),
                lambda: f"{len(left(vault, kept))} of {len(kept)} after the seal",
                pause=1,
            )


def test_tokens_are_gone_from_memory_while_their_connections_stay_and_nobody_asks(tmp_path: Path) -> None:
    """What a connection keeps of its last request counts too: a client may keep it for minutes."""
    with initialised(tmp_path) as vault, ExitStack() as open_, vault.client() as client:
        policy = {"policy": 'path "secret/*" { capabilities = ["read"] }'}
        assert client.request("PUT", "/v1/sys/policies/acl/reader", policy).status == 204
        assert client.request("POST", "/v1/secret/data/a", {"data": {"value": "a"}}).status == 200
        ends = ("revoked", "revokes itself", "expired", "unknown", "sealed")
        tokens: dict[str, list[str]] = {end: [] for end in ends}
        for number in range(4 * len(ends)):
            end = ends[number % len(ends)]
            more = {"ttl": "3s"} if end == "expired" else {}
            made = client.request("POST", "/v1/auth/token/create", {"policies": ["reader"], **more}).json()
            token = f"s.{uuid4().hex[:24]}" if end == "unknown" else made["auth"]["client_token"]
            tokens[end].append(token)
            reader = open_.enter_context(vault.client(token))
            for _ in range(1 + number % 3):
                answer = reader.request("GET", "/v1/secret/data/a")
                assert answer.status == 403 if end == "unknown" else 200
            if end == "revoked":
                assert client.request("POST", "/v1/auth/token/revoke", {"token": token}).status == 204
            if end == "revokes itself":
                assert reader.request("POST", "/v1/auth/token/revoke-self").status == 204
        assert set(left(vault, tokens["sealed"])) == set(tokens["sealed"])
        gone = [token for end in ends[:-1] for token in tokens[end]]
        wait_until(
            lambda: not left(vault, gone),
            lambda: str([end for end in ends if left(vault, tokens[end])]),
            2 * PATIENCE,
            pause=3,
        )
        assert client.request("PUT", "/v1/sys/seal").status == 204
        sealed = tokens["sealed"]
        wait_until(
            lambda: not left(vault, sealed), lambda: f"{len(left(vault, sealed))} after the seal", pause=1
        )


def test_no_connection_sits_on_an_answer_that_was_given_before_it_came(tmp_path: Path) -> None:
    """What it never writes to of its memory is what was there before, and nobody clears that while it is in use."""
    with initialised(tmp_path) as vault, ExitStack() as open_, vault.client() as client:
        tokens = []
        for _ in range(8):
            wrapped = client.request(
                "POST", "/v1/sys/wrapping/wrap", {"a": "b"}, headers={"X-Vault-Wrap-TTL": "300"}
            )
            tokens.append(wrapped.json()["wrap_info"]["token"])
            holder = open_.enter_context(vault.client(tokens[-1]))
            assert holder.request("POST", "/v1/sys/wrapping/unwrap").status == 200
        assert client.request("PUT", "/v1/sys/seal").status == 204
        wait_until(
            lambda: not left(vault, tokens), lambda: f"{len(left(vault, tokens))} after the seal", 15, pause=1
        )
