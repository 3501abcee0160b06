# SPDX-License-Identifier: EUPL-1.2
"""The engine of `docs/engines.md` in the whole server: what the page says of each part is what it does."""

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

import vault.engines
from tests.house.sizes import SOFT_FILE_LINES
from tests.house.tree import ROOT
from tests.routes import driver
from tests.routes.driver import Answer, Application
from tests.routes.engine_page import examples, modules
from tests.routes.test_biscuits_external import FakeDevice
from vault.barrier.stored import KINDS, raw
from vault.barrier.view import ReadView, View
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.framework.errors import Unavailable
from vault.install import Install
from vault.server.compose.catalog import ENGINES
from vault.storage.protocol import Timer
from vault.values.ids import ROOT_ID
from vault.values.times import Millis

NAME = "vault.engines.voucher"
COFFEE = {"text": "one coffee", "ttl": "1h"}


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """The page's `install`, from files that are where nobody else finds them."""
    folder = tmp_path_factory.mktemp("engines") / "voucher"
    folder.mkdir()
    for name, text in modules().items():
        (folder / name).write_text(text, encoding="utf-8")
    before = set(KINDS)
    vault.engines.__path__.append(str(folder.parent))
    yield importlib.import_module(f"{NAME}.install").install
    vault.engines.__path__.remove(str(folder.parent))
    for kind in set(KINDS) - before:
        del KINDS[kind]
    for module in [name for name in sys.modules if name.startswith(NAME)]:
        del sys.modules[module]


class Shop:
    """The application with the page's engine at `voucher/`, and what an operator does with it."""

    def __init__(self, install: Install, like: "Shop | None" = None) -> None:
        """Begin with what another holds, if it is `like` one."""
        engines = (*ENGINES, install)
        self.application: Application = (
            Application(like=like.application, engines=engines)
            if like is not None
            else Application(bare=True, engines=engines)
        )
        self.vault = self.application.vault
        self.clock = self.application.clock
        self.mount = next(one for one in self.vault.mounts.router.root if one.entry.path == "voucher/")
        self.token = "root"

    def ask(self, method: str, path: str, body: object = None, *, token: str | None = None) -> Answer:
        held = self.token if token is None else token
        return self.application.request(method, f"/v1/{path}", body, token=held)

    def good(self, method: str, path: str, body: object = None) -> Any:
        answer = self.ask(method, path, body)
        assert answer.status in {200, 204}, answer.body
        return answer.json() if answer.body else None

    def refused(self, method: str, path: str, body: object = None, *, status: int = 400) -> str:
        answer = self.ask(method, path, body)
        assert answer.status == status, answer.body
        return "".join(answer.json()["errors"])

    def code(self, name: str = "coffee") -> tuple[str, str]:
        """Return a code and its lease."""
        answer = self.good("GET", f"voucher/codes/{name}")
        return answer["data"]["code"], answer["lease_id"]

    def work(self) -> None:
        self.application.work()

    @property
    def data(self) -> ReadView:
        return self.vault.ground.barrier.reader(ROOT_ID, "ns/root/").mount(self.mount.entry.uuid)

    def kept(self) -> list[str]:
        """What the mount keeps, but for its salt and key."""
        return [one for one in self.application.run(self.data.scan("")) if "/" in one]

    def change(self, work: Callable[[View], Any]) -> None:
        """Change the mount's data behind its back."""

        async def change() -> None:
            async with self.vault.ground.barrier.write(
                ROOT_ID, f"ns/root/mnt/{self.mount.entry.uuid}/"
            ) as data:
                await work(data)

        self.application.run(change())


@pytest.fixture(scope="module")
def empty(install: Install) -> Iterator[Shop]:
    """What others begin like."""
    made = Shop(install)
    yield made
    made.application.close()


@pytest.fixture(scope="module")
def full(install: Install, empty: Shop) -> Iterator[Shop]:
    """As `empty`, with a voucher and a key."""
    made = Shop(install, empty)
    made.good("POST", "voucher/vouchers/coffee", COFFEE)
    made.good("POST", "voucher/key", {})
    yield made
    made.application.close()


@pytest.fixture
def shop(install: Install, empty: Shop) -> Iterator[Shop]:
    made = Shop(install, empty)
    yield made
    made.application.close()


@pytest.fixture
def stocked(install: Install, full: Shop) -> Iterator[Shop]:
    """With a voucher and a key."""
    made = Shop(install, full)
    yield made
    made.application.close()


def test_a_voucher_is_written_read_listed_and_removed(shop: Shop) -> None:
    assert shop.refused("LIST", "voucher/vouchers", status=404) == ""
    for name in ("a", "b", "c"):
        shop.good("POST", f"voucher/vouchers/{name}", COFFEE)
    assert shop.good("GET", "voucher/vouchers/a")["data"] == {"text": "one coffee", "shop": "", "ttl": 3599}
    assert shop.good("LIST", "voucher/vouchers")["data"] == {"keys": ["a", "b", "c"]}
    assert shop.good("LIST", "voucher/vouchers?after=a&limit=1")["data"] == {"keys": ["b"]}
    shop.good("DELETE", "voucher/vouchers/a")
    assert shop.refused("GET", "voucher/vouchers/a", status=404) == ""
    shop.good("DELETE", "voucher/vouchers/a")


def test_an_update_keeps_what_is_not_given_and_no_refusal_repeats_a_value(shop: Shop) -> None:
    shop.good("POST", "voucher/vouchers/a", {**COFFEE, "shop": "north"})
    shop.good("POST", "voucher/vouchers/a", {"ttl": 0})
    found = shop.good("GET", "voucher/vouchers/a")["data"]
    assert (found["text"], found["shop"], found["ttl"]) == ("one coffee", "north", 2_764_799)
    assert shop.refused("POST", "voucher/vouchers/b", {}) == "field 'text' is required"
    too_long = shop.refused("POST", "voucher/vouchers/b", {"text": "hunter2" * 200})
    assert too_long == "fields 'text' and 'shop' may have at most 1000 characters"
    negative = shop.refused("POST", "voucher/vouchers/b", {"text": "x", "ttl": -5})
    assert negative.endswith('converting input for field "ttl": cannot provide negative value')
    assert shop.refused("GET", "voucher/codes/b") == "unknown voucher: b"


def test_a_policy_tells_create_from_update(shop: Shop) -> None:
    creator = shop.application.token('path "voucher/vouchers/*" { capabilities = ["create"] }')
    assert shop.ask("POST", "voucher/vouchers/a", COFFEE, token=creator).status == 204
    assert shop.ask("POST", "voucher/vouchers/a", COFFEE, token=creator).status == 403
    shop.clock.sleep(3601)
    assert shop.ask("POST", "voucher/vouchers/a", COFFEE, token=creator).status == 204


def test_a_voucher_ends_by_the_clock_and_its_row_by_the_timer(shop: Shop) -> None:
    shop.good("POST", "voucher/vouchers/a", COFFEE)
    shop.clock.sleep(3601)
    assert shop.refused("GET", "voucher/vouchers/a", status=404) == ""
    assert shop.kept() == ["voucher/a"]
    shop.work()
    assert shop.kept() == []


def test_a_timer_that_comes_early_comes_again(shop: Shop) -> None:
    shop.good("POST", "voucher/vouchers/a", COFFEE)
    key = f"root/{shop.mount.entry.uuid}/a"
    shop.change(lambda data: data.at(Timer("voucher", key, Millis(1))))
    shop.work()
    assert shop.kept() == ["voucher/a"]
    shop.clock.sleep(3601)
    shop.work()
    assert shop.kept() == []


def test_a_record_of_the_version_before_is_read(shop: Shop) -> None:
    ends = shop.clock.millis() + 9_000
    before = raw(msgspec.msgpack.encode({"text": "one tea", "expires": ends}))
    shop.change(lambda data: data.put("voucher/old", before))
    assert shop.good("GET", "voucher/vouchers/old")["data"] == {"text": "one tea", "shop": "", "ttl": 8}


def test_a_key_is_made_by_sudo_and_shown_to_everybody_and_a_new_one_is_seen_at_once(shop: Shop) -> None:
    assert shop.refused("GET", "voucher/key") == "there is no key yet: write to key"
    maker = shop.application.token('path "voucher/key" { capabilities = ["create", "update"] }')
    assert shop.ask("POST", "voucher/key", {}, token=maker).status == 403
    shown = [shop.good("POST", "voucher/key", {}), shop.ask("GET", "voucher/key", token="").json()]
    shown += [shop.good("POST", "voucher/key", {}), shop.ask("GET", "voucher/key", token="").json()]
    first, seen, second, seen_then = [one["data"]["public_key"] for one in shown]
    assert first == seen and second == seen_then and first != second


@pytest.mark.asked_alone("counts what one process keeps in memory")
def test_a_private_key_lies_in_the_safe_and_is_forgotten_by_a_seal(stocked: Shop) -> None:
    code, _ = stocked.code()
    stored = stocked.application.run(stocked.data.get("key"))
    assert b"BEGIN PUBLIC KEY" in stored
    keys = next(one._keys for one in stocked.mount.backend.engines if hasattr(one, "_keys"))
    assert stocked.good("POST", "voucher/redeem", {"code": code})["data"]["text"] == "one coffee"
    stocked.good("GET", "voucher/key")
    assert len(keys._opened) == len(keys._stored) == 1
    stocked.good("PUT", "sys/seal")
    assert len(keys._opened) == len(keys._stored) == 0
    stocked.application.reopen()
    code, _ = stocked.code()
    assert stocked.good("POST", "voucher/redeem", {"code": code})["data"]["text"] == "one coffee"


def test_a_code_is_good_once_and_its_receipt_is_signed(stocked: Shop) -> None:
    code, lease = stocked.code()
    assert stocked.good("POST", "sys/leases/lookup", {"lease_id": lease})["data"]["ttl"] == 299
    receipt = stocked.good("POST", "voucher/redeem", {"code": code})["data"]
    public = load_pem_public_key(stocked.good("GET", "voucher/key")["data"]["public_key"].encode())
    assert isinstance(public, RSAPublicKey)
    verify = partial(public.verify, bytes.fromhex(receipt["signature"]))
    verify(receipt["text"].encode(), PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH), SHA256())
    with pytest.raises(InvalidSignature):
        verify(b"two coffees", PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH), SHA256())
    assert stocked.refused("POST", "voucher/redeem", {"code": code}).startswith("field 'code' is no code")
    assert stocked.refused("POST", "sys/leases/lookup", {"lease_id": lease}) == "invalid lease"
    assert not [one for one in stocked.kept() if one.startswith("code/")]


def test_a_code_ends_with_its_lease_and_later_where_that_is_renewed(stocked: Shop) -> None:
    (kept, renewed), (left, _) = stocked.code(), stocked.code()
    answer = stocked.good("POST", "sys/leases/renew", {"lease_id": renewed, "increment": 900})
    assert answer["lease_duration"] == 900
    stocked.clock.sleep(301)
    assert stocked.refused("POST", "voucher/redeem", {"code": left}).startswith("field 'code' is no code")
    assert len([one for one in stocked.kept() if one.startswith("code/")]) == 2
    stocked.work()
    assert len([one for one in stocked.kept() if one.startswith("code/")]) == 1
    stocked.good("POST", "voucher/redeem", {"code": kept})


def test_a_lease_that_is_revoked_takes_its_code_along(stocked: Shop) -> None:
    code, lease = stocked.code()
    stocked.good("POST", "sys/leases/revoke", {"lease_id": lease, "sync": True})
    assert not [one for one in stocked.kept() if one.startswith("code/")]
    assert stocked.refused("POST", "voucher/redeem", {"code": code}).startswith("field 'code' is no code")


def test_a_code_ends_with_its_voucher_and_the_words_are_the_same(stocked: Shop) -> None:
    code, _ = stocked.code()
    stocked.good("DELETE", "voucher/vouchers/coffee")
    gone = stocked.refused("POST", "voucher/redeem", {"code": code})
    assert gone == stocked.refused("POST", "voucher/redeem", {"code": "none"})


def test_what_a_token_got_goes_with_the_token(stocked: Shop) -> None:
    policy = 'path "voucher/codes/*" { capabilities = ["read"] }'
    stocked.token = stocked.application.token(policy)
    for _ in range(100):
        code, _ = stocked.code()
    assert stocked.refused("GET", "voucher/codes/coffee") == "a token gets at most 100 codes"
    assert len(stocked.kept()) == 102
    holder, stocked.token = stocked.token, "root"
    stocked.good("POST", "auth/token/revoke", {"token": holder})
    assert not [one for one in stocked.kept() if one.startswith("count/")]
    assert stocked.refused("POST", "voucher/redeem", {"code": code}).startswith("field 'code' is no code")
    for _ in range(4):
        stocked.work()
    assert stocked.refused("POST", "voucher/redeem", {"code": code}).startswith("field 'code' is no code")
    assert stocked.kept() == ["voucher/coffee"]


def test_a_code_is_not_good_once_its_token_is_over_however_late_that_is_seen(stocked: Shop) -> None:
    policy = 'path "voucher/codes/*" { capabilities = ["read"] }'
    stocked.good("POST", "sys/policies/acl/codes", {"policy": policy})
    made = stocked.good("POST", "auth/token/create", {"policies": ["codes"], "ttl": "1m"})
    stocked.token = made["auth"]["client_token"]
    code, lease = stocked.code()
    stocked.token = "root"
    stocked.clock.sleep(61)
    assert stocked.good("POST", "sys/leases/lookup", {"lease_id": lease})["data"]["ttl"] == 238
    assert stocked.refused("POST", "voucher/redeem", {"code": code}).startswith("field 'code' is no code")


def test_a_code_is_good_for_what_its_name_stands_for_now(stocked: Shop) -> None:
    code, _ = stocked.code()
    stocked.good("DELETE", "voucher/vouchers/coffee")
    stocked.good("POST", "voucher/vouchers/coffee", {"text": "one tea"})
    assert stocked.good("POST", "voucher/redeem", {"code": code})["data"]["text"] == "one tea"


def test_a_token_that_is_not_stored_gets_no_code(stocked: Shop) -> None:
    policy = 'path "voucher/codes/*" { capabilities = ["read"] }'
    stocked.good("POST", "sys/policies/acl/codes", {"policy": policy})
    made = stocked.good("POST", "auth/token/create", {"type": "batch", "policies": ["codes"]})
    stocked.token = made["auth"]["client_token"]
    assert stocked.refused("GET", "voucher/codes/coffee") == "codes are handed out to service tokens"


class RsaDevice(FakeDevice):
    """A device with an RSA key."""

    def __init__(self) -> None:
        super().__init__()
        self.key = generate_private_key(65537, 2048)  # type: ignore[assignment]  # another kind of key


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> RsaDevice:
    made = RsaDevice()
    monkeypatch.setattr(ExternalKeyEngine, "find", made.find)
    return made


def test_a_device_signs_outside_every_transaction_what_is_true_at_the_end(
    stocked: Shop, device: RsaDevice
) -> None:
    stocked.good("POST", "voucher/key", {"external": "c:k"})
    code, _ = stocked.code()
    path = "/v1/voucher/vouchers/coffee"
    ask = stocked.application.ask
    device.meanwhile = partial(ask, "POST", path, {"text": "one tea"}, token="root")
    device.asked = 0
    receipt = stocked.good("POST", "voucher/redeem", {"code": code})["data"]
    assert (receipt["text"], device.asked) == ("one tea", 2)
    used = [one["request"].get("external_keys") or one for one in stocked.application.records()]
    assert "c:k" in str(used)


def test_a_device_that_fails_leaves_the_code_good(stocked: Shop, device: RsaDevice) -> None:
    stocked.good("POST", "voucher/key", {"external": "c:k"})
    code, _ = stocked.code()
    device.failure = Unavailable("the device does not answer")
    assert stocked.ask("POST", "voucher/redeem", {"code": code}).status == 500
    device.failure = None
    stocked.good("POST", "voucher/redeem", {"code": code})


def test_a_device_with_a_key_of_another_kind_is_refused(
    stocked: Shop, device: RsaDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(device, "key", FakeDevice().key)
    assert (
        stocked.refused("POST", "voucher/key", {"external": "c:k"}) == "the external key must be an RSA key"
    )


def test_what_a_mount_issued_ends_with_it(stocked: Shop) -> None:
    _, lease = stocked.code()
    stocked.good("GET", "voucher/key")
    stocked.good("DELETE", "sys/mounts/voucher")
    stocked.work()
    assert stocked.refused("POST", "sys/leases/lookup", {"lease_id": lease}) == "invalid lease"
    stocked.good("POST", "sys/mounts/voucher", {"type": "voucher"})
    assert stocked.refused("GET", "voucher/key") == "there is no key yet: write to key"


def test_a_mount_with_timers_stays_in_its_namespace(stocked: Shop) -> None:
    stocked.good("POST", "sys/namespaces/team", {})
    said = stocked.refused("POST", "sys/remount", {"from": "voucher", "to": "team/voucher"})
    assert said == 'mounts of type "voucher" cannot be moved into another namespace'


def test_no_secret_is_in_the_audit_log_or_the_log(stocked: Shop) -> None:
    code, _ = stocked.code()
    stocked.good("POST", "voucher/redeem", {"code": code})
    stocked.refused("POST", "voucher/redeem", {"code": code})
    recorded = stocked.application.audit.read_text()
    assert "voucher/redeem" in recorded and "hmac-sha256:" in recorded
    for secret in (code, "one coffee"):
        assert secret not in recorded + stocked.application.log.getvalue()
    model = importlib.import_module(f"{NAME}.model")
    shown = [model.SigningKey(public=b"p", held=b"hunter2"), model.NewCode("hunter2")]
    assert "hunter2" not in repr([*shown, model.CodeParams(code="hunter2")])


def test_help_and_openapi_say_what_the_declarations_say(stocked: Shop) -> None:
    shown = stocked.good("GET", "voucher/vouchers/coffee?help=1")
    assert "Name of the voucher." in str(shown) and "Write a voucher." in str(shown)
    paths = stocked.good("GET", "sys/internal/specs/openapi")["paths"]
    assert "/voucher/redeem" in paths


def test_the_tests_and_the_scenario_that_the_page_shows_pass(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit, whole = examples("9.")
    names: dict[str, Any] = {}
    exec(unit, names)  # noqa: S102 -- the page's own
    names["test_a_voucher_is_good_for_its_time"]()
    monkeypatch.setattr(driver, "Application", lambda: Shop(install).application)
    exec(whole, names)  # noqa: S102 -- the page's own
    names["test_a_voucher_ends"]()
    names["test_a_code_ends_with_its_lease"]()
    (compared,) = examples("10.")
    exec(compared, names)  # noqa: S102 -- the page's own
    (scenario,) = names["SCENARIOS"]
    assert len(scenario.steps) == 6


@pytest.mark.parametrize(
    "command", [["ruff", "check", "--no-cache"], ["ruff", "format", "--check", "--no-cache"], ["mypy"]]
)
def test_the_checks_of_the_house_hold_for_the_page(tmp_path: Path, command: list[str]) -> None:
    """Mypy takes it for a package of its own: nothing can be inside `vault` without being in its folder."""
    folder = tmp_path / "voucher"
    folder.mkdir()
    for name, text in modules().items():
        alone = text.replace(NAME, "voucher") if command == ["mypy"] else text
        (folder / name).write_text(alone, encoding="utf-8")
        assert len(text.splitlines()) <= SOFT_FILE_LINES
    program = Path(sys.executable).parent / command[0]
    settings = f"--config{'-file' if command == ['mypy'] else ''}={ROOT / 'pyproject.toml'}"
    done = subprocess.run(
        [program, *command[1:], settings, folder],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
