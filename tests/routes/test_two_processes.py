# SPDX-License-Identifier: EUPL-1.2
"""Two servers with one storage: what one changes, the other obeys in the very next request, whoever sends it."""

from collections.abc import Generator
from typing import Any

import pytest

from tests.routes.driver import Application
from vault.storage.memory import MemoryStorage

LOGIN = "/v1/auth/userpass/login/x"


class _Shared(MemoryStorage):
    """Two have it open, and neither takes it from the other."""

    async def close(self) -> None:
        """Leave it as it is."""


@pytest.fixture
def both() -> Generator[tuple[Application, Application]]:
    """The one that changes things, and the one that knows nothing of it."""
    storage = _Shared()
    with Application(storage) as one, Application(storage, like=one) as other:
        assert _login(one).status == _login(other).status == 200
        yield one, other


def _login(application: Application) -> Any:
    return application.request("POST", LOGIN, {"password": "x"})


def test_a_login_obeys_a_mount_that_another_process_has_just_tuned(
    both: tuple[Application, Application],
) -> None:
    one, other = both
    assert _login(other).json()["auth"]["lease_duration"] > 60
    tuned = {"default_lease_ttl": "60s", "max_lease_ttl": "60s"}
    assert one.request("POST", "/v1/sys/auth/userpass/tune", tuned, token="root").status < 300
    assert _login(other).json()["auth"]["lease_duration"] == 60


def test_what_anybody_may_read_is_what_another_process_has_just_made_it(
    both: tuple[Application, Application],
) -> None:
    one, other = both
    one.request("POST", "/v1/nhi/keys", {}, token="root")
    assert other.request("GET", "/v1/nhi/public-keys").json()["data"]["keys"]
    assert one.request("DELETE", "/v1/sys/mounts/nhi", token="root").status == 204
    gone = other.request("GET", "/v1/nhi/public-keys")
    assert (gone.status, gone.body) == (one.request("GET", "/v1/nhi/public-keys").status, gone.body)
    assert gone.status >= 400
