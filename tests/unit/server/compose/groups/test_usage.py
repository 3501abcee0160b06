# SPDX-License-Identifier: EUPL-1.2
"""How much there is of everything is counted, in all namespaces, and shown sealed or not."""

import pytest

from tests.routes.driver import Application
from vault.server.compose.app import Vault
from vault.server.compose.groups.token_metrics import lifetime
from vault.server.compose.groups.usage import Usage
from vault.token.model import TokenEntry
from vault.values.ids import TokenAccessor
from vault.values.times import Nanos, Seconds


def counted(vault: Vault) -> dict[tuple[str, ...], float]:
    return {
        (name, *(value for label, value in labels if label != "cluster")): value
        for name, labels, value in vault.ground.metrics.gauges()
        if name.startswith(("token.count", "expire.num", "identity.", "secret.", "core.mount_table"))
    }


def test_tokens_entities_leases_and_secrets_of_all_namespaces_are_counted_and_what_is_gone_is_not() -> None:
    with Application() as application:
        vault = application.vault
        assert counted(vault) == {}

        def done(method: str, path: str, body: object = None, namespace: str = "") -> None:
            headers = {"x-vault-namespace": namespace}
            answer = application.request(method, f"/v1/{path}", body, token="root", headers=headers)
            assert answer.status < 300, answer.body

        done("POST", "sys/namespaces/team", {})
        done("POST", "sys/mounts/kv", {"type": "kv", "options": {"version": "2"}}, "team")
        for name in ("a", "b", "c/d"):
            done("POST", f"kv/data/{name}", {"data": {"x": "y"}}, "team")
        done("POST", "auth/token/create", {"ttl": "1h", "policies": ["one", "two"]}, "team")
        done("POST", "auth/userpass/login/x", {"password": "x"})
        done("POST", "auth/userpass/login/x", {"password": "x"})
        application.run(vault._usage.count())
        found = counted(vault)
        assert found["secret.kv.count", "kv/", "team"] == 3
        assert found["secret.kv.count", "plain/", "root"] == 1
        assert found["token.count", "team"] == 1
        assert [found["token.count.by_policy", "team", policy] for policy in ("default", "one", "two")] == [
            1,
            1,
            1,
        ]
        assert found["token.count.by_auth", "ns_token", "team"] == 1
        assert found["token.count.by_auth", "userpass", "root"] == 2
        assert found["token.count.by_ttl", "1h", "team"] == 1
        assert found["identity.entity.count", "root"] == 1
        assert found["identity.entity.count", "team"] == 0
        assert found["identity.entity.alias.count", "userpass", "auth/userpass/", "root"] == 1
        assert found["expire.num_irrevocable_leases",] == 0
        assert found["expire.num_leases",] >= 3
        assert found["core.mount_table.num_entries", "false", "auth"] > 3
        application.run(vault._closing(kept=True))
        assert counted(vault) == found
        application.run(vault.bootstrap_dev(root_token_id=None, mount_kv=False, unseal_key=application.key))
        done("DELETE", "sys/mounts/kv", None, "team")
        application.run(vault._usage.count())
        assert ("secret.kv.count", "kv/", "team") not in counted(vault)


def test_a_metric_has_only_so_many_series_those_with_the_highest_counts() -> None:
    with Application() as application:
        vault, mounts = application.vault, application.vault.mounts
        for policy, often in (("one", 3), ("two", 2), ("three", 1)):
            for _ in range(often):
                body = {"policies": [policy], "no_default_policy": True}
                assert application.request("POST", "/v1/auth/token/create", body, token="root").status == 200
        usage = Usage(
            vault.ground.metrics,
            vault.ground.barrier,
            mounts.namespaces,
            mounts.router,
            vault._usage._countable,
            vault.ground.log,
            cluster="c",
            every=0,
            most=2,
        )
        application.run(usage.count())
        shown = {key[1:]: value for key, value in counted(vault).items() if key[0] == "token.count.by_policy"}
        assert shown == {("root", "one"): 3, ("root", "two"): 2}


@pytest.mark.parametrize(
    ("ttl", "name"), [(60, "1m"), (61, "10m"), (3600, "1h"), (2_592_000, "30d"), (2_592_001, "+Inf")]
)
def test_lifetimes_have_openbaos_names(ttl: int, name: str) -> None:
    token = TokenEntry(
        accessor=TokenAccessor("a"), policies=(), path="auth/token/create", display_name="", created=Nanos(1),
        ttl=Seconds(ttl), expires=Nanos(1),
    )  # fmt: skip
    assert lifetime(token) == name
