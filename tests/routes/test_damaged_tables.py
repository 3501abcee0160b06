# SPDX-License-Identifier: EUPL-1.2
"""A damaged mount record shuts the namespace that it is of, and nobody else; nothing of it is lost meanwhile."""

from collections.abc import Iterator

import pytest

from tests.routes.issuer import Issuer
from tests.unit.namespace.tenancy import Tenancy
from vault.barrier.failure import BarrierFailure
from vault.barrier.stored import NewerFormat, raw
from vault.barrier.view import core_prefix
from vault.mount.router import DAMAGED
from vault.mount.table import DamagedMount
from vault.values.ids import NamespaceId

REFUSED = (500, DAMAGED)


class House(Tenancy):
    """The application with tenants `a` and `b`, each with a KV `kv/` that holds something, and a user in `b`."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: dict[str, str] = {}
        for name in ("a", "b"):
            self.ids[name] = self.do("POST", f"sys/namespaces/{name}", {})["data"]["id"]
            self.do("POST", f"{name}/sys/mounts/kv", {"type": "kv"})
            self.do("POST", f"{name}/kv/x", {"of": name})
        self.do("POST", "b/sys/auth/userpass", {"type": "userpass"})
        self.do("POST", "b/auth/userpass/users/x", {"password": "x"})
        self.whole: tuple[str, bytes] = ("", b"")

    def put(self, path: str, value: bytes) -> None:
        """Write into storage behind everybody's back."""

        async def write() -> None:
            async with self.storage.write() as tx:
                await tx.put(path, value)

        self.run(write())

    def damage(self, namespace_id: str) -> str:
        """Damage the first mount record of a namespace, and have its table read; return which mount it is."""
        place = f"{core_prefix(NamespaceId(namespace_id))}mount/"
        path, value = self.whole = min(
            (path, value) for path, value in self.stored().items() if path.startswith(place)
        )
        self.put(path, value[:-1] + bytes([value[-1] ^ 1]))
        self.change("mount", namespace_id)
        return path.removeprefix(place)

    def change(self, kind: str, key: str) -> None:
        """Have a fact read anew."""

        async def write() -> None:
            async with self.storage.write() as tx:
                await tx.invalidate(kind, key)

        self.run(write())

    def repair(self) -> None:
        """Put back what was damaged. Nobody is told of it."""
        self.put(*self.whole)

    def told(self) -> list[str]:
        """What the server's log says of damaged tables."""
        return [line for line in self.log.getvalue().splitlines() if "a mount's record is damaged" in line]


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


def test_a_damaged_mount_record_shuts_its_namespace_and_no_other(house: House) -> None:
    uuid = house.damage(house.ids["b"])
    for path in ("kv/x", "sys/mounts", "nothing/here", "auth/token/lookup-self"):
        assert house.status_of("GET", f"b/{path}") == REFUSED
    assert house.status_of("POST", "b/sys/mounts/more", {"type": "kv"}) == REFUSED
    assert house.status_of("POST", "b/auth/userpass/login/x", {"password": "x"}, token="") == REFUSED
    assert house.do("GET", "a/kv/x")["data"] == {"of": "a"}
    assert house.do("GET", "secret/config")["data"]
    assert house.do("POST", "a/sys/mounts/more", {"type": "kv"}) is None
    assert house.status_of("GET", "sys/health")[0] == 200
    [line] = house.told()
    assert house.ids["b"] in line and uuid in line and "restored from a backup" in line


def test_a_server_is_unsealed_although_a_mount_record_is_damaged(house: House) -> None:
    house.damage(house.ids["b"])
    other = house.another_server()
    assert other.request("GET", "/v1/a/kv/x", token="root").json()["data"] == {"of": "a"}
    assert other.request("GET", "/v1/b/kv/x", token="root").json()["errors"] == [DAMAGED]
    other.close()


@pytest.mark.parametrize("kind", ["mount", "namespace"])
def test_a_table_that_was_repaired_is_served_after_the_next_change(house: House, kind: str) -> None:
    user = house.do("POST", "b/auth/userpass/login/x", {"password": "x"}, token="")["auth"]["client_token"]
    house.damage(house.ids["b"])
    assert house.status_of("GET", "b/auth/token/lookup-self", token=user) == REFUSED
    house.settle()
    house.repair()
    house.change(kind, house.ids["b"])
    assert house.do("GET", "b/kv/x")["data"] == {"of": "b"}
    assert (
        house.do("GET", "b/auth/token/lookup-self", token=user)["data"]["display_name"] == "b-auth-userpass-x"
    )


def test_a_login_of_a_damaged_namespace_is_refused_below_it_too_and_lives_on(house: House) -> None:
    house.do("POST", "b/sys/namespaces/c", {})
    house.do("POST", "b/sys/policies/acl/c", {"policy": 'path "c/*" { capabilities = ["list", "read"] }'})
    house.do("POST", "b/auth/userpass/users/x", {"password": "x", "token_policies": "c"})
    user = house.do("POST", "b/auth/userpass/login/x", {"password": "x"}, token="")["auth"]["client_token"]
    assert house.status_of("GET", "b/c/sys/mounts", token=user)[0] == 200
    house.damage(house.ids["b"])
    house.change("a kind that nobody owns", "")  # nobody is known any more
    assert house.status_of("GET", "b/c/sys/mounts", token=user) == REFUSED
    assert house.status_of("GET", "b/c/sys/mounts")[0] == 200
    house.repair()
    house.change("mount", house.ids["b"])
    assert house.status_of("GET", "b/c/sys/mounts", token=user)[0] == 200


def test_nobody_moves_a_mount_into_or_out_of_a_damaged_namespace(house: House) -> None:
    house.damage(house.ids["b"])
    for source, target in (("b/kv", "a/new"), ("a/kv", "b/new")):
        assert house.status_of("POST", "sys/remount", {"from": source, "to": target}) == REFUSED
    assert house.do("GET", "a/kv/x")["data"] == {"of": "a"}


def test_a_damaged_namespace_can_be_removed(house: House) -> None:
    house.damage(house.ids["b"])
    assert house.do("DELETE", "sys/namespaces/b")["data"] == {"status": "in-progress"}
    house.settle()
    assert not house.kept(house.ids["b"])
    assert house.do("POST", "sys/namespaces/b", {})
    house.do("GET", "b/sys/mounts")


def test_quotas_of_mounts_that_cannot_be_read_now_are_kept(house: House) -> None:
    sealed = house.furnished("s")
    assert sealed
    for name in ("b", "s"):
        house.do("POST", f"sys/quotas/rate-limit/{name}", {"path": f"{name}/kv", "rate": 1000})
    house.damage(house.ids["b"])
    house.do("POST", "sys/namespaces/s/seal")
    assert house.status_of("POST", "sys/quotas/rate-limit/more", {"path": "b/kv", "rate": 1}) == REFUSED
    house.do("POST", "sys/quotas/rate-limit/a", {"path": "a/kv", "rate": 1000})
    assert house.do("LIST", "sys/quotas/rate-limit")["data"]["keys"] == ["a", "b", "s"]
    house.repair()
    house.change("mount", house.ids["b"])
    house.open("s")
    for name in ("a", "b", "s"):
        assert house.do("GET", f"sys/quotas/rate-limit/{name}")["data"]["path"] == f"{name}/kv/"


def test_a_damaged_record_of_the_root_namespace_stops_the_vault_and_is_named(house: House) -> None:
    uuid = house.damage("root")
    with pytest.raises(DamagedMount, match=uuid):
        house.run(house.vault.mounts.router.drop(None))
    house.repair()
    house.run(house.vault.mounts.router.drop(None))


def test_a_record_of_a_later_release_is_no_damage(house: House) -> None:
    later = b"\xc1\xfa"

    async def write() -> None:
        async with house.vault.ground.barrier.write(NamespaceId(house.ids["b"]), "") as view:
            await view.put(f"{core_prefix(NamespaceId(house.ids['b']))}mount/x", raw(later))

    house.run(write())
    with pytest.raises(NewerFormat):
        house.run(house.vault.mounts.router.drop(house.ids["b"]))


def test_where_the_vaults_own_keys_cannot_be_read_no_table_is_called_damaged(house: House) -> None:
    keyring, value = next((path, value) for path, value in house.stored().items() if path.endswith("keyring"))
    house.damage(house.ids["b"])
    house.put(keyring, value[:-1] + bytes([value[-1] ^ 1]))
    with pytest.raises(BarrierFailure):
        house.run(house.vault.mounts.router.drop(house.ids["b"]))


def test_a_damaged_record_of_a_namespace_is_named(house: House) -> None:
    path = f"ns/root/namespace/{house.ids['b']}"
    house.put(path, house.stored()[path][:-1] + b"\0")
    with pytest.raises(BarrierFailure, match=house.ids["b"]):
        house.run(house.vault.mounts.router.drop_namespace(None))


LOGIN, BISCUIT = "login", "Biscuit"


def _lease_below(house: House, who: str) -> tuple[str, str]:
    """Have somebody of `b` ask for a password in `b/c`; return that and its lease."""
    rules = 'path "c/ssh/creds/*" { capabilities = ["update"] }'
    house.do("POST", "b/sys/namespaces/c", {})
    house.do("POST", "b/c/sys/mounts/ssh", {"type": "ssh"})
    role = {"key_type": "otp", "default_user": "u", "cidr_list": "10.0.0.0/8"}
    house.do("POST", "b/c/ssh/roles/machines", role)
    if who == BISCUIT:
        issuer = Issuer(house, within="b/")
        issuer.root("sys/policies/acl/app", {"policy": rules})
        token = issuer.issue()
    else:
        house.do("POST", "b/sys/policies/acl/app", {"policy": rules})
        house.do("POST", "b/auth/userpass/users/x", {"password": "x", "token_policies": "app"})
        made = house.do("POST", "b/auth/userpass/login/x", {"password": "x"}, token="")
        token = made["auth"]["client_token"]
    made = house.do("POST", "b/c/ssh/creds/machines", {"ip": "10.1.2.3"}, token=token)
    return made["data"]["key"], made["lease_id"]


def _tidied(house: House) -> str:
    """Put the leases of `b/c` in order; return what the log says of it."""
    seen = len(house.log.getvalue())
    house.do("POST", "b/c/sys/leases/tidy")
    for _ in range(200):
        told = house.log.getvalue()[seen:]
        if "in order: mended" in told or "ended early" in told:
            return told
        house.work()
    raise AssertionError


@pytest.mark.parametrize("who", [LOGIN, BISCUIT])
def test_leases_of_somebody_whose_namespace_is_damaged_live_on_below_it(house: House, who: str) -> None:
    password, lease = _lease_below(house, who)
    house.damage(house.ids["b"])
    assert house.status_of("GET", "b/kv/x") == REFUSED
    assert "leases are in order: mended: count=0" in _tidied(house)
    assert house.status_of("POST", "b/c/ssh/verify", {"otp": password}, token="") == REFUSED
    house.repair()
    house.change("mount", house.ids["b"])
    house.settle()
    assert house.do("POST", "b/c/sys/leases/lookup", {"lease_id": lease})["data"]["id"] == lease
    assert house.do("POST", "b/c/ssh/verify", {"otp": password}, token="")["data"]["ip"] == "10.1.2.3"


def test_a_cubbyhole_in_a_damaged_namespace_goes_once_that_is_repaired(house: House) -> None:
    token = house.do("POST", "auth/token/create", {"policies": ["root"]})["auth"]["client_token"]
    house.do("POST", "b/cubbyhole/mine", {"of": "somebody"}, token=token)
    house.damage(house.ids["b"])
    house.do("POST", "auth/token/revoke", {"token": token})
    house.work()
    house.repair()
    house.change("mount", house.ids["b"])
    assert house.do("GET", "b/kv/x")["data"] == {"of": "b"}
    house.clock.sleep(61)
    house.settle()
    assert [path for path in house.stored() if path.endswith("/mine")] == []
