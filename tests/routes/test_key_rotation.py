# SPDX-License-Identifier: EUPL-1.2
"""Identity keys are rotated whatever else is done to them meanwhile: pairs are made before anybody's turn."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from nhi.identity.oidc.pairs import KeyPairs
from nhi.jose.signing_key import SigningKey
from tests.routes.driver import Application
from vault.barrier.view import ReadView
from vault.framework.call import Call
from vault.pipeline import Pipeline
from vault.storage.protocol import Conflict

ALGORITHMS = ("ES256", "EdDSA", "ES384", "ES512", "RS256")
KEY = "/v1/identity/oidc/key/k"
DEFAULT = "/v1/identity/oidc/key/default"


@pytest.mark.parametrize("key", [KEY, DEFAULT])
@pytest.mark.parametrize("lost", [0, 2], ids=["at-once", "lost-twice"])
def test_a_rotation_succeeds_though_the_algorithm_changes_whenever_its_pair_is_made(
    application: Application, monkeypatch: pytest.MonkeyPatch, key: str, lost: int
) -> None:
    """Also where other nodes were faster before that: once by chance, and once while it stood in line."""
    application.request("POST", key, {"algorithm": "ES256"}, token="root")
    invoke, losing = Pipeline.invoke, [Conflict("another transaction changed what this one had read")] * lost

    async def losing_first(self: Pipeline, call: Call, view: ReadView | None) -> object:
        if losing and call.path.endswith("/rotate"):
            raise losing.pop()
        return await invoke(self, call, view)

    monkeypatch.setattr(Pipeline, "invoke", losing_first)
    make, changes = KeyPairs._new, list[str]()

    async def slow(self: KeyPairs, algorithm: str, count: int) -> Sequence[SigningKey]:
        """Make pairs; while a rotation waits for its own, somebody gives the key another algorithm."""
        if rotating and algorithm == key_of[0]:
            rotating.clear()
            key_of[0] = ALGORITHMS[len(changes) % 4 + 1]
            changes.append(key_of[0])
            body = {"algorithm": key_of[0]}
            assert (await application.ask("POST", key, body, token="root")).status == 204
            rotating.append(True)
        return await make(self, algorithm, count)

    monkeypatch.setattr(KeyPairs, "_new", slow)
    key_of, rotating = ["ES256"], [True]
    answer = application.request("POST", f"{key}/rotate", {}, token="root")
    assert (answer.status, answer.body) == (204, b"")
    assert changes
    read = application.request("GET", key, token="root").json()["data"]
    assert read["algorithm"] == changes[-1]


def test_rotations_among_changes_of_the_algorithm_all_succeed(application: Application) -> None:
    application.request("POST", KEY, {"algorithm": "ES256"}, token="root")
    answers = Counter[tuple[str, int]]()

    async def change(step: int) -> None:
        for turn in range(8):
            body = {"algorithm": ALGORITHMS[turn * step % len(ALGORITHMS)]}
            answers["change", (await application.ask("POST", KEY, body, token="root")).status] += 1

    async def rotate() -> None:
        for _ in range(5):
            answers["rotate", (await application.ask("POST", f"{KEY}/rotate", {}, token="root")).status] += 1

    async def all_at_once() -> None:
        await asyncio.gather(*(change(step) for step in (1, 2, 3, 4)), *(rotate() for _ in range(5)))

    application.run(all_at_once())
    assert answers == {("change", 204): 32, ("rotate", 204): 25}
