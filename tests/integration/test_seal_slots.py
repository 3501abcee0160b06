# SPDX-License-Identifier: EUPL-1.2
"""Real servers with SoftHSM tokens: from shares to one token, to a second one and back, killed at every step."""

import contextlib
import http.client
import itertools
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.integration.processes import PATIENCE, VAULT, Running, running
from tests.integration.sealed_site import Site, begin, make, migrate
from tests.integration.two_makers import put_back
from tests.ports import free_port

LOST = (OSError, http.client.HTTPException)
DELAYS = (0.03, 0.0, 0.08, 0.01, 0.2)
"""Seconds after a change was asked for at which the server is killed."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A vault of three shares with a value, not running."""
    made = Site(tmp_path)
    begin(made, "three shares", make)
    return made


@pytest.fixture
def sealed(site: Site) -> Site:
    """The same, sealed by the token `a` since."""
    begin(site, "token a", migrate)
    return site


def killed_while(site: Site, server: Running, method: str, path: str, delay: float) -> None:
    """Ask for a change, and kill the server so much later."""

    def ask() -> None:
        with contextlib.suppress(*LOST):
            site.ask(method, path, {})

    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(delay)
    server.process.kill()
    server.process.wait(PATIENCE)
    asking.join(PATIENCE)


def killed_at_commit(site: Site, server: Running, number: int, ask: Callable[[], object]) -> bool:
    """Do `ask`, and kill the server right after its `number`th commit from now on; return whether there was one."""
    asking = threading.Thread(target=ask)
    seen, last = 0, site.commits()
    asking.start()
    over = False
    while seen < number and not over:
        over = not asking.is_alive()  # after which one more look sees all that there was
        now = site.commits()
        seen, last = seen + (now != last), now
    server.process.kill()
    server.process.wait(PATIENCE)
    asking.join(PATIENCE)
    return seen >= number


WAY: tuple[tuple[str, str], ...] = (
    ("POST", "sys/seal-slots/hsm-a"),
    ("DELETE", "sys/seal-slots/shamir"),
    ("POST", "sys/seal-slots/hsm-b"),
    ("POST", "sys/rotate/root"),
    ("POST", "sys/seal-slots/hsm-a/rewrap"),
    ("DELETE", "sys/seal-slots/hsm-a"),
    ("POST", "sys/seal-slots/shamir"),
    ("DELETE", "sys/seal-slots/hsm-b"),
)
"""From shares to one token, to a second one, and back to shares."""


@pytest.mark.parametrize(
    "times", [1, pytest.param(5, marks=[pytest.mark.soak, pytest.mark.timeout(900)])], ids=["once", "often"]
)
def test_killed_at_every_step_from_shares_to_two_tokens_and_back_the_vault_opens_with_its_data(
    site: Site, times: int
) -> None:
    seals = site.seal("hsm-a") + site.seal("hsm-b") + 'seal "shamir" {}\n'
    delays = itertools.cycle(DELAYS)
    with contextlib.ExitStack() as servers:
        server = servers.enter_context(site.serving(seals))
        assert site.opened()
        for method, path in WAY:
            for delay in itertools.islice(delays, times):
                killed_while(site, server, method, path, delay)
                server = servers.enter_context(site.serving(seals))
                assert site.opened()
            assert site.reads()
            assert site.keeps()
            assert site.every_slot_opens()
            assert site.changes(method, path) in {200, 204, 400}, path
            assert site.every_slot_opens()
            if path == "sys/seal-slots/hsm-a" and method == "DELETE":
                wish = {"secret_shares": 3, "secret_threshold": 2}
                site.shares = site.ask("POST", "sys/rotate/recovery/init", wish)[1]["data"]["keys"]
    assert site.slots_left == {"shamir"}
    with site.serving(""):
        assert site.opened()
        assert site.reads()
        assert site.keeps()


def test_from_shares_to_a_token_and_to_another_and_back_without_a_pause(site: Site) -> None:
    seals = site.seal("hsm-a") + site.seal("hsm-b") + 'seal "shamir" {}\n'
    with site.serving(seals) as server:
        server.wait_for("software token: no hardware protection", times=2)
        assert site.opened()
        assert site.changes("POST", "sys/seal-slots/hsm-a") == 200
        assert site.changes("POST", "sys/rotate/root") == 204
        server.process.kill()
        server.process.wait(PATIENCE)
    with site.serving(seals) as server:
        assert site.opened()
        assert site.reads()
        server.wait_for("software token: no hardware protection", times=2)
        status = site.ask("GET", "sys/seal-status")[1]
        assert status["type"] == "pkcs11"
        assert [(slot["name"], slot["behind"]) for slot in status["slots"]][:2] == [
            ("shamir", 1),
            ("hsm-a", 0),
        ]
        assert "software token: no hardware protection" in status["warnings"]
        for change in (("POST", "sys/seal-slots/hsm-b"), ("POST", "sys/seal-slots/hsm-b/verify")):
            assert site.changes(*change) == 200, change
        answer = site.ask("DELETE", "sys/seal-slots/shamir", {})[1]
        assert "nobody holds shares of this vault any more" in answer["warnings"][0]
        assert site.changes("DELETE", "sys/seal-slots/hsm-a") in {200, 204}
        assert site.ask("DELETE", "sys/seal-slots/hsm-b", {})[0] == 400
    with site.serving(site.seal("hsm-b")):
        assert site.opened()
        assert site.reads()
        made = site.ask("POST", "sys/rotate/recovery/init", {"secret_shares": 3, "secret_threshold": 2})
        site.shares = made[1]["data"]["keys"]
        assert site.ask("POST", "sys/seal-slots/shamir", {})[0] == 200
        assert site.ask("DELETE", "sys/seal-slots/hsm-b", {})[0] == 204
    with site.serving(""):
        assert site.opened()
        assert site.reads()


def test_a_vault_of_shares_takes_in_a_token_without_a_restart(site: Site) -> None:
    with site.serving("") as server:
        assert site.opened()
        site.configure(site.seal("hsm-a"))
        server.send(signal.SIGHUP)
        server.wait_for("a key slot is configured and can be added")
        server.wait_for("software token: no hardware protection")
        assert site.ask("POST", "sys/seal-slots/hsm-a", {})[0] == 200
        assert site.ask("DELETE", "sys/seal-slots/shamir", {})[0] == 200
        assert site.reads()
        site.configure(site.seal("hsm-b"))
        server.send(signal.SIGHUP)
        server.wait_for("counts until the next start: slot=hsm-a")
        assert server.wait_for("does not open by itself").endswith("slot=hsm-a")
    with site.serving("") as server:
        server.wait_for("does not open by itself")
        server.wait_for("server: started")
        status, answer = site.ask("PUT", "sys/unseal", {"key": site.shares[0]})
        assert (status, "key slots are hsm-a" in answer["errors"][0]) == (400, True)
        (slot,) = site.ask("GET", "sys/seal-status")[1]["slots"]
        assert (slot["name"], slot["up"]) == ("hsm-a", False)
    with site.serving(site.seal("hsm-a")):
        assert site.opened()
        assert site.reads()


def test_openbaos_way_there_and_back(site: Site) -> None:
    with site.serving(site.seal("hsm-a")):
        assert site.ask("GET", "sys/seal-status")[1]["migration"]
        assert site.ask("PUT", "sys/unseal", {"key": site.shares[0]})[0] == 400
        assert site.opened(migrate=True)
        assert site.reads()
    with site.serving(site.seal("hsm-a")):
        assert site.opened()
        assert site.reads()
    with site.serving(site.seal("hsm-a", disabled=True)):
        assert site.opened(migrate=True)
        assert site.reads()
    with site.serving(""):
        assert site.opened()
        assert site.reads()


def test_the_stock_client_migrates_from_shares_to_a_token_to_another_and_back(site: Site) -> None:
    a, b = site.seal("hsm-a"), site.seal("hsm-b")
    a_left, b_left = site.seal("hsm-a", disabled=True), site.seal("hsm-b", disabled=True)
    for seals, after in ((a, a), (a_left + b, b), (b_left, "")):
        with site.serving(seals):
            site.migrates()
            assert site.reads()
        with site.serving(after):
            assert site.opened()
            assert site.reads()


@pytest.mark.parametrize(
    "every",
    [False, pytest.param(True, marks=[pytest.mark.soak, pytest.mark.timeout(900)])],
    ids=["one", "all"],
)
def test_killed_at_every_commit_of_the_stock_clients_migrations_the_vault_opens_with_its_data(
    site: Site, *, every: bool
) -> None:
    a, b = site.seal("hsm-a"), site.seal("hsm-b")
    a_left, b_left = site.seal("hsm-a", disabled=True), site.seal("hsm-b", disabled=True)
    for number, (seals, after) in enumerate(((a, a), (a_left + b, b), (b_left, ""))):
        site.keep()
        met = []
        for moment in range(1, 6) if every else [1 + number % 2]:
            site.restore()
            with site.serving(seals) as server:
                site.bao("operator", "unseal", "-migrate", site.shares[0])
                last = partial(site.tried, "operator", "unseal", "-migrate", site.shares[1])
                met.append(killed_at_commit(site, server, moment, last))
            with site.serving(seals):
                assert site.opened(migrate=site.ask("GET", "sys/seal-status")[1]["migration"])
                assert site.reads()
                assert site.keeps()
                assert site.every_slot_opens()
        assert met[0], "nothing was ever committed: the server was never killed in the middle"
        with site.serving(after):
            assert site.opened()
            assert site.reads()
            assert site.keeps()
    assert site.slots_left == {"shamir"}


def test_a_server_whose_token_is_gone_answers_and_opens_when_it_is_back(sealed: Site) -> None:
    site = sealed
    away = site.softhsm.tokens.rename(site.folder / "away")
    site.softhsm.tokens.mkdir()
    with site.serving(site.seal("hsm-a")) as server:
        server.wait_for("not unsealed; it will be tried again")
        status, health = site.ask("GET", "sys/health")
        assert (status, health["sealed"]) == (503, True)
        slots = site.ask("GET", "sys/seal-status")[1]["slots"]
        assert [(slot["name"], slot["up"]) for slot in slots if slot["type"] == "pkcs11"] == [
            ("hsm-a", False)
        ]
        put_back(away, site.softhsm.tokens)
        server.wait_for("vault is unsealed")
        assert site.reads()


def test_with_every_token_gone_the_recovery_shares_open_the_vault(sealed: Site) -> None:
    site = sealed
    site.softhsm.tokens.rename(site.folder / "burnt")
    with site.serving(site.seal("hsm-a")):
        for share in site.shares[1:]:
            site.ask("PUT", "sys/unseal", {"key": share})
        assert not site.ask("GET", "sys/seal-status")[1]["sealed"]
        assert site.reads()


def test_of_two_servers_on_one_vault_one_replaces_the_root_key_and_the_other_goes_on(sealed: Site) -> None:
    site = sealed
    with site.serving(site.seal("hsm-a")):
        assert site.opened()
        first, second = site.port, free_port()
        text = (site.folder / "server.hcl").read_text().replace(f":{first}", f":{second}")
        (site.folder / "second.hcl").write_text(text)
        more = {"SOFTHSM2_CONF": str(site.softhsm.configuration), "RUNTIME_DIRECTORY": str(site.folder)}
        arguments = (f"-config={site.folder}/second.hcl",)
        with running(*arguments, home=site.folder, environment=more, module=VAULT) as server:
            server.wait_for("vault is unsealed")
            for port in (first, second):
                site.port = port
                assert site.ask("POST", "sys/rotate/root", {})[0] == 204
            for port in (first, second):
                site.port = port
                assert site.reads()
