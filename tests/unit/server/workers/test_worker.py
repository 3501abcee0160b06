# SPDX-License-Identifier: EUPL-1.2
"""Which requests a worker answers itself, and which the first one has to."""

import asyncio
import contextlib
import io
from typing import Any

import pytest

from vault.framework.telemetry.log import Log
from vault.server.workers import control
from vault.server.workers.worker import Worker


class Other:
    """What the worker is to others; only whether it is sealed matters here."""

    def __init__(self, *, sealed: bool) -> None:
        self.sealed = sealed


async def joined(crew: str, other: Any, *, one_writes: bool) -> Worker:
    """The second worker, told by a supervisor who is there; nobody has keys for it."""
    near, far = control.pair()
    with near, far:
        made = Worker(near, 2, Log(stream=io.StringIO()), one_writes=one_writes)
        control.send(far, f"{control.CREW} {crew}")
        joining = asyncio.ensure_future(made.join(other))
        while not joining.done():
            await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                message = control.receive(far)
                if message is not None and message[1] is not None:
                    message[1].close()
        asyncio.get_running_loop().remove_reader(near.fileno())
    return made


def worker(*, first: bool = False, one_writes: bool = False, sealed: bool = False) -> Worker:
    return asyncio.run(joined("2 3" if first else "1 2", Other(sealed=sealed), one_writes=one_writes))


def passes(made: Worker, method: str, path: str) -> bool:
    return made.passes({"method": method, "path": path})


@pytest.mark.parametrize(
    ("method", "path", "passed"),
    [
        ("PUT", "/v1/sys/unseal", True),
        ("POST", "/v1/sys/init", True),
        ("PUT", "/v1/sys/seal", True),
        ("GET", "/v1/sys/rotate/root/init", True),
        ("GET", "/v1/team/sys/rotate/root/init", True),
        ("GET", "/v1/sys/rekey/init", True),
        ("GET", "/v1/sys/generate-root-token/attempt", True),
        ("GET", "/v1/sys/namespaces/team/seal-status", True),
        ("POST", "/v1/auth/oidc/oidc/auth_url", True),
        ("GET", "/v1/team/auth/okta/oidc/callback", True),
        ("POST", "/v1/auth/oidc/oidc/poll", True),
        ("POST", "/v1/auth/oidc/login", False),
        ("GET", "/ui/", True),
        ("POST", "/ui/sign-in", True),
        ("GET", "/v1/sys/seal-status", False),
        ("GET", "/v1/sys/health", False),
        ("GET", "/v1/sys/metrics", False),
        ("GET", "/v1/secret/data/ui/x", False),
        ("POST", "/v1/secret/data/x", False),
    ],
)
def test_what_lives_in_memory_over_several_requests_is_in_the_first_worker(
    method: str, path: str, passed: bool
) -> None:
    assert passes(worker(), method, path) is passed
    assert passes(worker(first=True), method, path) is False


def test_how_far_an_unseal_is_only_the_first_worker_knows() -> None:
    assert passes(worker(sealed=True), "GET", "/v1/sys/seal-status")
    assert not passes(worker(sealed=True, first=True), "GET", "/v1/sys/seal-status")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_where_one_writes_all_that_may_write_goes_there_and_reads_do_not(method: str) -> None:
    assert passes(worker(one_writes=True), method, "/v1/secret/data/x")
    assert not passes(worker(one_writes=True, first=True), method, "/v1/secret/data/x")
    for reads in ("GET", "LIST", "HEAD", "SCAN"):
        assert not passes(worker(one_writes=True), reads, "/v1/secret/data/x")
