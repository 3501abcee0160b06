# SPDX-License-Identifier: EUPL-1.2
"""Stock clients use Biscuits as tokens; two stock Biscuit libraries narrow ours, and what they made is obeyed."""

import json
import subprocess
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import hvac
import pytest
from biscuit_auth import Biscuit, BlockBuilder, PublicKey
from hvac import exceptions
from pytest_socket import enable_socket

from tests.integration.clients import INSTALLED, run
from tests.integration.coffre import BAO, Place, open_server
from tests.integration.helpers_of_bao import Workload, text

POLICY = (
    'path "secret/data/app/*" { capabilities = ["create", "update", "read"] }\n'
    'path "auth/token/create" { capabilities = ["update"] }'
)
SCRIPT = Path(__file__).parent / "node" / "biscuit.mjs"


ALGORITHMS = ("ed25519", "p256")


def with_one(algorithm: str) -> pytest.MarkDecorator:
    """Play a test with one algorithm, as its clients look at no signature; with the other one in the soak."""
    marked = [pytest.param(one, marks=() if one == algorithm else pytest.mark.soak) for one in ALGORITHMS]
    return pytest.mark.parametrize("issuer", marked, indirect=True)


class Issuer:
    """A server of ours whose mount `name` issues Biscuits, and a secret that they may read."""

    def __init__(self, place: Place, root: hvac.Client, name: str) -> None:
        self.place = place
        self.root = root
        self.name = name

    def begin(self, algorithm: str) -> None:
        """Mount, key, workload, registration."""
        self.root.sys.enable_secrets_engine("nhi", self.name)
        self.root.sys.create_or_update_policy(self.name, POLICY)
        self.root.write(f"{self.name}/keys", algorithm=algorithm)
        self.root.write(f"{self.name}/workloads/w", owner="team-a", ttl="30d")
        self.root.write(f"{self.name}/registrations/r", workload="w", policies=[self.name, "default"])

    def issue(self) -> str:
        """Return a new token."""
        token: str = self.root.write_data(f"{self.name}/issue/r", data={})["auth"]["client_token"]
        return token

    @property
    def key(self) -> tuple[str, str]:
        """Algorithm and public key, as verifiers ask for them."""
        newest = self.root.read(f"{self.name}/public-keys")["data"]["keys"][-1]
        return newest["algorithm"], f"{newest['algorithm']}/{newest['key_bytes']}"

    def narrow(self, token: str, block: BlockBuilder) -> str:
        """Attenuate offline, with the stock library."""
        return Biscuit.from_base64(token, PublicKey(self.key[1])).append(block).to_base64()

    def bao(self, home: Path, token: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the stock `bao` as the holder of a token."""
        environment = {**self.place.environment(home), "BAO_TOKEN": token}
        return subprocess.run(
            [BAO, *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    """A server of ours with two secrets."""
    enable_socket()
    with open_server("coffre", tmp_path_factory.mktemp("coffre")) as place:
        root = place.client()
        root.sys.enable_secrets_engine("kv", "secret", options={"version": "2"})
        for path in ("app/db", "app/other"):
            root.secrets.kv.v2.create_or_update_secret(path, {"password": path})
        root.adapter.close()
        yield place


@pytest.fixture(params=ALGORITHMS)
def issuer(server: Place, name: str, request: pytest.FixtureRequest) -> Generator[Issuer]:
    """An issuer of each algorithm."""
    root = server.client()
    made = Issuer(server, root, name)
    made.begin(request.param)
    yield made
    root.adapter.close()


def _five_minutes() -> BlockBuilder:
    return BlockBuilder(
        'check if resource($r), $r == "secret/data/app/db"; check if operation($o), {"read"}.contains($o);'
        "check if time($t), $t < {end};",
        {"end": datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=5)},
    )


def _is_refused(client: hvac.Client, path: str) -> bool:
    with pytest.raises(exceptions.Forbidden):
        client.secrets.kv.v2.read_secret_version(path, raise_on_deleted_version=True)
    return True


def test_hvac_reads_and_writes_with_a_biscuit_and_only_reads_one_path_once_it_was_narrowed(
    issuer: Issuer,
) -> None:
    token = issuer.issue()
    whole = issuer.place.client(token)
    read = whole.secrets.kv.v2.read_secret_version("app/db", raise_on_deleted_version=True)
    assert read["data"]["data"] == {"password": "app/db"}
    whole.secrets.kv.v2.create_or_update_secret("app/written", {"a": "1"})
    assert whole.auth.token.lookup_self()["data"]["type"] == "biscuit"
    narrow = issuer.place.client(issuer.narrow(token, _five_minutes()))
    assert narrow.is_authenticated()
    assert narrow.secrets.kv.v2.read_secret_version("app/db", raise_on_deleted_version=True)
    assert 0 < narrow.auth.token.lookup_self()["data"]["ttl"] <= 300
    assert _is_refused(narrow, "app/other")
    with pytest.raises(exceptions.Forbidden):
        narrow.secrets.kv.v2.create_or_update_secret("app/db", {"a": "1"})
    wider = BlockBuilder('operation("create"); resource("secret/data/app/other"); check if true;')
    assert _is_refused(issuer.place.client(issuer.narrow(narrow.token, wider)), "app/other")
    past = BlockBuilder("check if time($t), $t < 2026-01-01T00:00:00Z;")
    assert _is_refused(issuer.place.client(issuer.narrow(narrow.token, past)), "app/db")
    renewed = whole.auth.token.renew_self()["auth"]["client_token"]
    whole.auth.token.revoke_self()
    assert _is_refused(whole, "app/db")
    assert _is_refused(narrow, "app/db")
    assert _is_refused(issuer.place.client(renewed), "app/db")


@with_one("ed25519")
def test_bao_reads_with_a_biscuit_and_is_refused_with_a_narrowed_one(issuer: Issuer, tmp_path: Path) -> None:
    token = issuer.issue()
    narrow = issuer.narrow(token, _five_minutes())
    field = ("kv", "get", "-mount=secret", "-field=password")
    for one in (token, narrow, f"biscuit:{token}"):
        assert issuer.bao(tmp_path, one, *field, "app/db").stdout == "app/db"
    assert issuer.bao(tmp_path, token, *field, "app/other").stdout == "app/other"
    refused = issuer.bao(tmp_path, narrow, *field, "app/other")
    assert (refused.returncode, "permission denied" in refused.stderr) == (2, True)
    assert issuer.bao(tmp_path, narrow, "kv", "put", "-mount=secret", "app/db", "a=1").returncode == 2
    looked = json.loads(issuer.bao(tmp_path, narrow, "token", "lookup", "-format=json").stdout)["data"]
    assert (looked["type"], looked["meta"]["blocks"]) == ("biscuit", "2")
    may = issuer.bao(tmp_path, narrow, "token", "capabilities", "secret/data/app/db").stdout
    assert may.strip() == "read"
    wrapped = issuer.bao(
        tmp_path, token, "read", "-wrap-ttl=1m", "-field=wrapping_token", "secret/data/app/db"
    )
    unwrapped = json.loads(issuer.bao(tmp_path, wrapped.stdout, "unwrap", "-format=json").stdout)
    assert unwrapped["data"]["data"] == {"password": "app/db"}
    assert issuer.bao(tmp_path, narrow, "token", "revoke", "-self").returncode == 0
    assert issuer.bao(tmp_path, narrow, *field, "app/db").returncode == 2
    assert issuer.bao(tmp_path, token, *field, "app/db").stdout == "app/db"


def test_the_library_for_webassembly_verifies_narrows_and_seals_ours_and_ours_obeys(
    issuer: Issuer, tmp_path: Path
) -> None:
    algorithm, key = issuer.key
    told: dict[str, Any] = {
        "algorithm": algorithm,
        "key": key.partition("/")[2],
        "token": issuer.issue(),
        "facts": f'time({datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}); audience_srv("vault");',
        "block": 'check if resource($r), $r == "secret/data/app/db"; check if operation($o), $o == "read"',
    }
    command = ["node", "--experimental-wasm-modules", "--no-warnings", str(SCRIPT)]
    environment = {**issuer.place.environment(tmp_path), "NODE_PATH": str(INSTALLED / "node_modules")}
    made = json.loads(run(command, environment, tmp_path, json.dumps(told)).splitlines()[-1])
    assert made["verdict"] == 0
    for kind, sealed in (("narrowed", False), ("sealed", True)):
        client = issuer.place.client(made[kind])
        assert client.secrets.kv.v2.read_secret_version("app/db", raise_on_deleted_version=True)
        assert _is_refused(client, "app/other")
        shown = issuer.root.write_data(f"{issuer.name}/introspect", data={"token": made[kind]})["data"]
        assert (shown["active"], shown.get("sealed", False), len(shown["blocks"])) == (True, sealed, 2)


@with_one("p256")
def test_stock_clients_make_child_tokens_that_are_narrowed_and_end_with_the_biscuit(
    issuer: Issuer, tmp_path: Path
) -> None:
    narrow = issuer.narrow(
        issuer.issue(),
        BlockBuilder('check if resource($r), $r == "secret/data/app/db" || $r == "auth/token/create"'),
    )
    by_hvac = issuer.place.client(narrow).auth.token.create(ttl="10m", meta={"job": "x"})["auth"]
    made = issuer.bao(tmp_path, narrow, "token", "create", "-ttl=10m", "-field=token")
    assert made.returncode == 0, made.stderr
    printed = made.stdout.strip()
    field = ("kv", "get", "-mount=secret", "-field=password")
    for token in (by_hvac["client_token"], printed):
        client = issuer.place.client(token)
        assert client.secrets.kv.v2.read_secret_version("app/db", raise_on_deleted_version=True)
        assert _is_refused(client, "app/other")
        assert issuer.bao(tmp_path, token, *field, "app/db").stdout == "app/db"
        assert issuer.bao(tmp_path, token, *field, "app/other").returncode == 2
        assert client.auth.token.renew_self(increment="20h")["auth"]["lease_duration"] <= 3600
        assert client.auth.token.lookup_self()["data"]["meta"]["workload"] == "w"
    refused = issuer.bao(tmp_path, narrow, "token", "create", "-orphan")
    assert (refused.returncode, "orphan" in refused.stderr or "denied" in refused.stderr) == (2, True)
    issuer.root.write(f"{issuer.name}/revoke", token=narrow)
    for token in (by_hvac["client_token"], printed):
        assert _is_refused(issuer.place.client(token), "app/db")


@with_one("ed25519")
def test_stock_clients_log_in_below_auth_and_get_a_biscuit(issuer: Issuer, tmp_path: Path) -> None:
    issuer.root.sys.enable_auth_method("nhi", path=issuer.name)
    secret = issuer.root.write_data(f"{issuer.name}/registrations/r/secret", data={})["data"]["client_secret"]
    own = {"client_id": "r", "client_secret": secret}
    client = issuer.place.client("")
    tokens = [
        client.write_data(f"auth/{issuer.name}/login", data=own)["auth"]["client_token"],
        client.auth.approle.login("r", secret, mount_point=issuer.name)["auth"]["client_token"],
        client.auth.userpass.login("r", secret, mount_point=issuer.name)["auth"]["client_token"],
    ]
    pairs = [f"{name}={value}" for name, value in own.items()]
    written = issuer.bao(tmp_path, "", "write", "-format=json", f"auth/{issuer.name}/login", *pairs)
    tokens.append(json.loads(written.stdout)["auth"]["client_token"])
    login = ("login", "-no-store", "-token-only", "-method=userpass", f"-path={issuer.name}")
    tokens.append(issuer.bao(tmp_path, "", *login, "username=r", f"password={secret}").stdout.strip())
    for token in tokens:
        held = issuer.place.client(token)
        assert held.secrets.kv.v2.read_secret_version("app/db", raise_on_deleted_version=True)
        assert held.auth.token.lookup_self()["data"]["type"] == "biscuit"
    wrong = issuer.bao(tmp_path, "", "write", f"auth/{issuer.name}/login", "client_id=r", "client_secret=x")
    assert wrong.returncode == 2


def test_hvac_looks_after_a_biscuit_that_names_no_more_than_its_own_policy(issuer: Issuer) -> None:
    issuer.root.write(f"{issuer.name}/registrations/billing", workload="w", policies=[issuer.name], ttl="1h")
    path = f"{issuer.name}/registrations/billing/secret"
    own = {
        "client_id": "billing",
        "client_secret": issuer.root.write_data(path, data={})["data"]["client_secret"],
    }
    client = issuer.place.client("")
    client.token = client.write_data(f"{issuer.name}/login", data=own)["auth"]["client_token"]
    assert client.is_authenticated()
    assert client.auth.token.lookup_self()["data"]["policies"] == [issuer.name]
    assert client.secrets.kv.v2.read_secret_version("app/db", raise_on_deleted_version=True)
    first = client.token
    client.token = client.auth.token.renew_self(increment="30m")["auth"]["client_token"]
    assert client.is_authenticated() and client.token != first
    client.auth.token.revoke_self()
    assert not client.is_authenticated()
    client.adapter.close()


@with_one("p256")
def test_a_stock_agent_logs_in_below_auth_as_with_an_approle(issuer: Issuer, tmp_path: Path) -> None:
    issuer.root.sys.enable_auth_method("nhi", path=issuer.name)
    secret = issuer.root.write_data(f"{issuer.name}/registrations/r/secret", data={})["data"]["client_secret"]
    (tmp_path / "role-id").write_text("r")
    (tmp_path / "secret-id").write_text(secret)
    agent = Workload.__new__(Workload)
    agent.place, agent.folder, agent.name, agent.root = issuer.place, tmp_path, issuer.name, issuer.root
    agent.token = tmp_path / "token"
    with agent.running("agent", "") as helper:
        helper.until(lambda: bool(text(agent.token)))
    held = issuer.place.client(text(agent.token).strip())
    assert held.secrets.kv.v2.read_secret_version("app/db", raise_on_deleted_version=True)
    assert held.auth.token.lookup_self()["data"]["type"] == "biscuit"
