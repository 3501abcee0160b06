# SPDX-License-Identifier: EUPL-1.2
"""`bao proxy` lends its token to who has none and answers again from its cache, before our server and the field's."""

from pathlib import Path

import hvac
import pytest
import requests

from tests.integration.coffre import Place
from tests.integration.helpers_of_bao import Helper, Workload
from tests.integration.processes import PATIENCE
from tests.ports import free_port

CACHED = "X-Cache"


def asks(port: int, method: str, path: str, **options: object) -> requests.Response:
    """One request through the proxy, without a token."""
    return requests.request(method, f"http://127.0.0.1:{port}/v1/{path}", timeout=PATIENCE, **options)  # type: ignore[arg-type]  # what requests takes


def listening(helper: Helper, port: int) -> None:
    """Wait until the proxy has logged in."""

    def answers() -> bool:
        try:
            return asks(port, "GET", "auth/token/lookup-self").status_code == 200
        except requests.ConnectionError:
            return False

    helper.until(answers)


@pytest.fixture
def workload(root: hvac.Client, place: Place, name: str, tmp_path: Path) -> Workload:
    return Workload(root, place, tmp_path, name)


def configured(port: int) -> str:
    return f"""
cache {{}}
api_proxy {{ use_auto_auth_token = "force" }}
listener "tcp" {{
  address     = "127.0.0.1:{port}"
  tls_disable = true
}}
"""


def test_the_proxy_lends_its_token(workload: Workload) -> None:
    port = free_port()
    with workload.running("proxy", configured(port)) as proxy:
        listening(proxy, port)
        own = asks(port, "GET", "auth/token/lookup-self").json()["data"]
        assert own["meta"] == {"role_name": "app"}
        assert asks(port, "GET", f"{workload.name}/data/app").json()["data"]["data"] == {"password": "first"}
        put = asks(port, "PUT", f"{workload.name}/data/made", json={"data": {"a": "b"}})
        assert put.status_code == 200
        listed = asks(port, "GET", f"{workload.name}/metadata/?list=true").json()["data"]["keys"]
        assert listed == ["app", "made"]
        assert asks(port, "GET", "sys/mounts").status_code == 403


def test_the_proxy_gives_the_same_token_again_from_its_cache(workload: Workload) -> None:
    port = free_port()
    with workload.running("proxy", configured(port)) as proxy:
        listening(proxy, port)
        wanted = {"ttl": "5m", "policies": [workload.name]}
        first, second = (asks(port, "POST", "auth/token/create", json=wanted) for _ in range(2))
        assert first.status_code == 200
        assert [answer.headers[CACHED] for answer in (first, second)] == ["MISS", "HIT"]
        assert first.json()["auth"]["client_token"] == second.json()["auth"]["client_token"]
        other = asks(port, "POST", "auth/token/create", json={**wanted, "ttl": "6m"})
        assert other.json()["auth"]["client_token"] != first.json()["auth"]["client_token"]
