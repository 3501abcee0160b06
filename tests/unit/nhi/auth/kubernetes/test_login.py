# SPDX-License-Identifier: EUPL-1.2
"""Service accounts: what the API server is asked, what of its answer is believed, and what is never passed on."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nhi.auth.kubernetes.config import ConfigEngine
from nhi.auth.kubernetes.login import LoginEngine
from nhi.auth.kubernetes.pod import Pod
from nhi.auth.kubernetes.review import ApiServer
from nhi.auth.kubernetes.selector import parse
from tests.tokens import KEY, OTHER, pem, token
from tests.unit.nhi.auth.house import LONGEST, Answer, AuthHouse, auth, play
from tests.unit.nhi.auth.jwt.house import _resolve
from tests.unit.outbound.service import Service, service
from tests.unit.token.house import DEFAULT
from vault.framework.errors import Malformed
from vault.framework.route_table import RouteTable
from vault.framework.telemetry.log import Log
from vault.mount.table import Backend, Catalog
from vault.outbound.fetch import Fetcher
from vault.outbound.places import Places
from vault.token.issue import LoginIssuer
from vault.token.lifetime import LifetimeLimits
from vault.values.times import Seconds

pytestmark = pytest.mark.loopback
DENIED = (403, "permission denied")


class ClusterHouse(AuthHouse):
    """`AuthHouse` with auth/kubernetes, and an API server on loopback that vouches as `verdict` says."""

    async def begin(self, one: Service, pod: Pod) -> "ClusterHouse":
        await self.start()
        fetcher = Fetcher(Places(["127.0.0.0/8"]), _resolve)
        self.notes = io.StringIO()
        server = ApiServer(fetcher, pod, Log(stream=self.notes))
        issuer = LoginIssuer(
            self.tokens,
            self.batch,
            self.clock,
            LifetimeLimits(default=Seconds(DEFAULT), longest=Seconds(LONGEST)),
            self._config,
        )
        engines = (ConfigEngine(pod, Seconds(LONGEST)), LoginEngine(issuer, server, self.clock))
        known = self.router.catalog
        kubernetes = Backend(engines, RouteTable(engines))
        self.router.catalog = Catalog(known._secrets, {**known._auth, "kubernetes": kubernetes})
        await self.router.drop(None)
        await self.good("POST", "sys/auth/kubernetes", {"type": "kubernetes"})
        self.cluster = one
        self.host = f"http://api.test:{one.port}"
        self.verdict: dict[str, Any] = {}
        self.labels: dict[str, str] = {}
        one.behave = self._answer
        await self.configure()
        await self.account()
        return self

    async def _answer(self, writer: Any, head: bytes) -> None:
        body: dict[str, Any] = {"metadata": {"labels": self.labels}}
        if head.startswith(b"POST"):
            asked = json.loads(self.cluster.seen[-1].partition(b"\r\n\r\n")[2])["spec"]
            user = {"username": "system:serviceaccount:shop:web", "uid": "u-1"}
            body = {"status": {"authenticated": True, "user": user, "audiences": asked.get("audiences")}}
            body["status"] |= self.verdict
        content = json.dumps(body).encode()
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n".encode() + content)

    async def configure(self, **fields: object) -> None:
        usual = {"kubernetes_host": self.host, "token_reviewer_jwt": "reviewer", "kubernetes_ca_cert": "x"}
        await self.good("POST", "auth/kubernetes/config", {**usual, **fields})

    async def account(self, **fields: object) -> None:
        usual = {"bound_service_account_names": "web", "bound_service_account_namespaces": "shop"}
        await self.good("DELETE", "auth/kubernetes/role/r")
        await self.good("POST", "auth/kubernetes/role/r", {**usual, **fields})

    async def show(self, key: Any = KEY, **changes: Any) -> Answer:
        now = self.clock.millis() // 1000
        claims = {
            "iss": "https://kubernetes.default.svc",
            "aud": ["vault"],
            "exp": now + 600,
            "iat": now,
            "kubernetes.io": {"namespace": "shop", "serviceaccount": {"name": "web", "uid": "u-1"}},
            "sub": "system:serviceaccount:shop:web",
            **changes,
        }
        body = {"role": "r", "jwt": token(claims, key)}
        return await self("POST", "auth/kubernetes/login", body, token="")


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[ClusterHouse]:
    async with service() as one:
        yield await ClusterHouse().begin(one, Pod(folder))


def test_sl_42_the_api_server_gets_the_reviewers_token_and_nothing_of_the_vaults(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as vault:
            body = {"role": "r", "jwt": token({"a": 1})}
            await vault("POST", "auth/kubernetes/login", body)  # with the root token
            made = auth(await vault.show())
            assert made["metadata"]["service_account_uid"] == "u-1"
            sent = b"".join(vault.cluster.seen)
            assert b"Bearer reviewer" in sent
            assert vault.root.encode() not in sent
            assert b"x-vault" not in sent.lower()

    play(scenario)


@pytest.mark.parametrize(
    "status",
    [
        {"authenticated": False},
        {"authenticated": "true"},
        {"authenticated": True, "error": "expired"},
        {"user": {}},
        {"user": {"username": "system:serviceaccount:shop:web"}},
        {"user": {"username": "system:serviceaccount:shop:web", "uid": "u-2"}},
        {"user": {"username": "system:serviceaccount:shop:other", "uid": "u-1"}},
        {"user": {"username": "system:serviceaccount:other:web", "uid": "u-1"}},
        {"user": {"username": "cluster-admin", "uid": "u-1"}},
        {"user": "web"},
        {"audiences": None},
        {"audiences": []},
        {"audiences": ["another"]},
        {"audiences": "vault"},
    ],
)
def test_sl_27_what_the_token_claims_counts_only_as_the_api_server_confirms_it(
    status: dict[str, Any], tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as vault:
            vault.verdict = status
            answer = await vault.show()
            assert (answer.status, answer.error) == DENIED

    play(scenario)


def test_a_token_that_the_keys_have_not_signed_does_not_reach_the_api_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as vault:
            await vault.configure(pem_keys=pem(KEY))
            assert (await vault.show()).status == 200
            before = vault.cluster.connections
            answer = await vault.show(OTHER)
            assert ((answer.status, answer.error), vault.cluster.connections) == (DENIED, before)

    play(scenario)


def test_an_audience_that_is_no_list_does_not_reach_the_api_server(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as vault:
            answer = await vault.show(aud="vault")
            assert (answer.status, answer.error) == (
                400,
                "'aud' source data must be an array or slice, got string",
            )
            assert vault.cluster.connections == 0

    play(scenario)


def test_names_and_namespaces_are_checked_before_anybody_is_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as vault:
            for name, namespace in (
                ("other", "shop"),
                ("web", "other"),
                ("", "shop"),
                ("web", ""),
                (5, "shop"),
            ):
                inner = {"namespace": namespace, "serviceaccount": {"name": name, "uid": "u-1"}}
                assert (await vault.show(**{"kubernetes.io": inner})).status == 403
            await vault.account(audience="payments")
            assert "invalid audience" in (await vault.show()).error
            assert vault.cluster.connections == 0

    play(scenario)


def test_a_namespace_is_selected_by_its_labels_and_its_name_is_no_path(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as vault:
            chosen = '{"matchLabels": {"team": "a"}}'
            await vault.account(
                bound_service_account_namespaces="", bound_service_account_namespace_selector=chosen
            )
            assert (await vault.show()).error == "namespace not authorized"
            vault.labels = {"team": "a"}
            assert (await vault.show()).status == 200
            assert any(head.startswith(b"GET /api/v1/namespaces/shop ") for head in vault.cluster.seen)
            before = vault.cluster.connections
            for namespace in ("../secrets", "shop/secrets/x", "shop?x", "a b", "Ä"):
                inner = {"namespace": namespace, "serviceaccount": {"name": "web", "uid": "u-1"}}
                assert (await vault.show(**{"kubernetes.io": inner})).error == "namespace not authorized"
            assert vault.cluster.connections == before

    play(scenario)


def test_a_dead_api_server_lets_nobody_in_and_the_log_says_why(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as vault:
            await vault.configure(kubernetes_host="http://127.0.0.1:1")
            answer = await vault.show()
            assert (answer.status, answer.error) == DENIED
            assert "the Kubernetes API server cannot be asked" in vault.notes.getvalue()
            assert "connection refused" in vault.notes.getvalue()

    play(scenario)


def test_in_a_pod_its_own_token_and_authority_are_read_anew_each_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as vault:
            (tmp_path / "ca.crt").write_text("authority")
            await vault.configure(token_reviewer_jwt="", kubernetes_ca_cert="")
            for name in ("first", "second"):
                (tmp_path / "token").write_text(f"{name}\n")
                assert (await vault.show()).status == 200
                assert f"Bearer {name}\r\n".encode() in vault.cluster.seen[-1]
            await vault.configure(token_reviewer_jwt="", disable_local_ca_jwt=True)
            assert (await vault.show()).status == 200
            assert b"Bearer second" not in vault.cluster.seen[-1]

    play(scenario)


@pytest.mark.parametrize(
    ("text", "labels", "met"),
    [
        ("{}", {}, True),
        ('{"matchLabels": {"a": "b"}}', {"a": "b", "c": "d"}, True),
        ('{"matchLabels": {"a": "b", "c": "d"}}', {"a": "b"}, False),
        ('{"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}', {"a": "b"}, True),
        ('{"matchExpressions": [{"key": "a", "operator": "In"}]}', {"a": "b"}, False),
        ('{"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["b"]}]}', {"a": "b"}, False),
        ('{"matchExpressions": [{"key": "a", "operator": "Exists"}]}', {}, False),
        ('{"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}', {}, True),
    ],
)
def test_selectors_mean_what_they_mean_in_kubernetes(text: str, labels: dict[str, str], met: bool) -> None:
    assert parse(text).met(labels) is met


@pytest.mark.parametrize(
    "text", ["zz", "[]", '{"match": {}}', '{"matchExpressions": [{"key": "a", "operator": "X"}]}']
)
def test_a_selector_that_says_something_unknown_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text)


def test_sl_75_a_strangers_name_makes_no_pattern_slow(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as vault:
            await vault.account(bound_service_account_names="web-*-*-*-*-blue")
            long = {"namespace": "shop", "serviceaccount": {"name": "web" + "-" * 8000, "uid": "u-1"}}
            answer = await vault.show(**{"kubernetes.io": long})
            assert (answer.status, answer.error) == (403, "service account name not authorized")
            assert not vault.cluster.seen

    play(scenario)
