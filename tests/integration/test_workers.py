# SPDX-License-Identifier: EUPL-1.2
"""One server of two workers, as real processes: what one was told holds in the other, and who dies is replaced."""

import contextlib
import os
import re
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.fuzz.process import Client, VaultProcess, wait_until
from tests.nodes import Site
from tests.postgres import Cluster
from tests.receipts import Keeper, Receipt, check_recorded
from tests.workers import CLIENT_ERRORS, PATIENCE, Hasty, Pair, do, served_by_two

ROUNDS = 20
CROWD = 400
KILLS = 60


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    server = VaultProcess(tmp_path_factory.mktemp("workers"), more="workers = 2\nui = true\n")
    with served_by_two(server) as pair:
        with server.client() as client:
            do(client, "POST", "secret/data/a", {"data": {"a": "b"}})
        yield pair


def test_what_one_worker_wrote_or_revoked_holds_in_the_other_at_once(pair: Pair) -> None:
    _obeyed(pair)


def _obeyed(pair: Pair) -> None:
    pair.settled()
    with pair.both() as workers:
        do(
            workers[0],
            "PUT",
            "sys/policies/acl/reads",
            {"policy": 'path "secret/*" { capabilities = ["read"] }'},
        )
        for turn in range(ROUNDS):
            one, other = workers if turn % 2 else workers[::-1]
            do(one, "POST", "secret/data/a", {"data": {"turn": turn}})
            token = do(one, "POST", "auth/token/create", {"policies": ["reads"]})["auth"]["client_token"]
            for _ in range(3):
                answer = other.request("GET", "/v1/secret/data/a", token=token)
                assert answer.json()["data"]["data"] == {"turn": turn}
            do(one, "POST", "auth/token/revoke", {"token": token})
            assert other.request("GET", "/v1/secret/data/a", token=token).status == 403, turn


def test_the_vault_is_sealed_and_opened_in_all_workers_through_any(pair: Pair) -> None:
    pair.settled()
    with pair.both() as workers:
        for turn in range(4):
            one, other = workers if turn % 2 else workers[::-1]
            do(one, "PUT", "sys/seal")
            for each in (one, other):
                assert each.request("GET", "/v1/secret/data/a").status == 503
                assert do(each, "GET", "sys/seal-status")["sealed"] is True
            assert do(one, "PUT", "sys/unseal", {"key": pair.server.key})["sealed"] is False
            for each in (one, other):
                assert do(each, "GET", "sys/health")["sealed"] is False
                assert do(each, "GET", "secret/data/a")["data"]


def test_workers_on_postgresql_obey_each_other_and_write_each_by_itself(
    postgres: Callable[[], Cluster], tmp_path: Path
) -> None:
    server = Site(postgres(), tmp_path).nodes[0]
    with server.config.open("a", encoding="utf-8") as config:
        config.write("workers = 2\n")
    try:
        server.start()
        server.initialise()
        pair = Pair(server)
        _obeyed(pair)
        with pair.both() as workers:
            assert [_raised(each, 10) for each in workers] == [10, 20]
            os.kill(pair.pids()[0], signal.SIGKILL)
            assert _raised(workers[1], 10) == 30
        pair.settled()
        with pair.both() as workers:
            do(workers[1], "PUT", "sys/seal")
            for each in workers:
                assert each.request("GET", "/v1/secret/data/a").status == 503
    finally:
        assert server.stop() == 0, server.log.read_text(encoding="utf-8")


def _raised(client: Client, times: int) -> int:
    """Count up by check and set, so that each step stands on what others wrote; return what it is then."""
    for _ in range(times):
        answer = client.request("GET", "/v1/secret/data/counter").json()
        found, version = (
            (answer["data"]["data"]["n"], answer["data"]["metadata"]["version"])
            if "data" in answer
            else (0, 0)
        )
        do(client, "POST", "secret/data/counter", {"options": {"cas": version}, "data": {"n": found + 1}})
    return int(do(client, "GET", "secret/data/counter")["data"]["data"]["n"])


def test_what_people_begin_through_one_worker_they_go_on_with_through_the_other(pair: Pair) -> None:
    pair.settled()
    with pair.both() as (one, other):
        shares = {"secret_shares": 3, "secret_threshold": 2}
        begun = do(other, "POST", "sys/rotate/root/init", shares)
        assert do(one, "GET", "sys/rotate/root/init")["data"]["nonce"] == begun["data"]["nonce"]
        update = {"key": pair.server.key, "nonce": begun["data"]["nonce"]}
        made = do(one, "POST", "sys/rotate/root/update", update)["data"]["keys"]
        assert len(made) == 3
        do(other, "PUT", "sys/seal")
        assert do(one, "PUT", "sys/unseal", {"key": made[0]})["progress"] == 1
        assert do(other, "GET", "sys/seal-status")["progress"] == 1
        assert do(other, "PUT", "sys/unseal", {"key": made[1]})["sealed"] is False
        assert do(one, "GET", "secret/data/a")["data"]
        begun = do(one, "POST", "sys/rotate/root/init", {"secret_shares": 1, "secret_threshold": 1})
        given = {"key": made[0], "nonce": begun["data"]["nonce"]}
        assert do(other, "POST", "sys/rotate/root/update", given)["data"]["progress"] == 1
        os.kill(pair.pids()[0], signal.SIGKILL)
    pair.settled()
    with pair.both() as (one, other):
        lost = other.request("POST", "/v1/sys/rotate/root/update", {**given, "key": made[1]})
        assert (lost.status, lost.json()) == (400, {"errors": ["no rotation in progress"]})
        begun = do(one, "POST", "sys/rotate/root/init", {"secret_shares": 1, "secret_threshold": 1})
        for share, worker in zip(made[1:], (one, other), strict=True):
            update = {"key": share, "nonce": begun["data"]["nonce"]}
            done = do(worker, "POST", "sys/rotate/root/update", update)["data"]
        (pair.server.key,) = done["keys"]


def test_a_namespace_is_sealed_and_opened_in_all_workers_through_any(pair: Pair) -> None:
    pair.settled()
    with pair.both() as workers:
        seal = {"seal": 'seal "shamir" { shares = 1 threshold = 1 }'}
        (share,) = do(workers[1], "POST", "sys/namespaces/team", seal)["data"]["key_shares"]
        headers = {"X-Vault-Namespace": "team"}
        for turn in range(2):
            one, other = workers if turn % 2 else workers[::-1]
            opened = do(one, "PUT", "sys/namespaces/team/unseal", {"key": share})["data"]
            assert opened["sealed"] is False
            for each in (one, other):
                assert each.request("GET", "/v1/sys/mounts", headers=headers).status == 200, turn
            do(other, "PUT", "sys/namespaces/team/seal")
            for each in (one, other):
                assert each.request("GET", "/v1/sys/mounts", headers=headers).status == 503, turn


def test_who_signed_in_to_the_page_through_one_worker_is_known_to_the_other(pair: Pair) -> None:
    pair.settled()
    with pair.both() as (one, other):
        page = other.request("GET", "/ui/", token="")
        fields = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page.body.decode()))
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://127.0.0.1:{pair.server.port}",
            "Cookie": page.headers.get("set-cookie", "").partition(";")[0],
        }
        sent = urlencode({**fields, "token": pair.server.root}).encode()
        signed_in = one.request("POST", "/ui/sign-in", sent, headers=headers, token="")
        assert signed_in.status == 303, signed_in.body
        cookie = {"Cookie": signed_in.headers["set-cookie"].partition(";")[0]}
        for each in (one, other):
            page = each.request("GET", "/ui/", headers=cookie, token="")
            assert page.status == 303 or b"/ui/sign-out" in page.body, page.body[:500]


def test_a_quota_lets_through_as_much_as_it_says_whichever_worker_is_asked(pair: Pair) -> None:
    pair.settled()
    quota = {"path": "secret/", "rate": 7, "interval": "1h"}

    def let_through(*clients: Client) -> int:
        asked = [each.request("GET", "/v1/secret/data/a").status for _ in range(6) for each in clients]
        assert {*asked} == {200, 429}
        return asked.count(200)

    with pair.both() as (one, other):
        for each in (one, other):
            do(each, "POST", "sys/quotas/rate-limit/all", quota)
            assert let_through(one, other) == 7
        do(other, "DELETE", "sys/quotas/rate-limit/all")
        do(one, "GET", "secret/data/a")
        do(other, "POST", "sys/quotas/rate-limit/all", {**quota, "rate": 9})
        assert [one.request("GET", "/v1/secret/data/a").status for _ in range(4)] == [200] * 4
        os.kill(pair.pids()[0], signal.SIGKILL)
    pair.settled()
    with pair.both() as (one, other):
        assert let_through(one, other) == 5, "the dead one has counted four"
        do(one, "DELETE", "sys/quotas/rate-limit/all")


@pytest.mark.parametrize("which", [0, 1], ids=["first", "other"])
def test_a_killed_worker_is_replaced_by_one_that_is_open(pair: Pair, which: int) -> None:
    pair.settled()
    before, warnings = pair.pids(), pair.log().count("attention")
    with pair.both() as workers:
        os.kill(before[which], signal.SIGKILL)
        writes = [
            workers[1 - which].request("POST", "/v1/secret/data/kept", {"data": {"turn": turn}})
            for turn in range(ROUNDS)
        ]
        # The first one writes. One that was on its way to it may have been done, and all others wait for the next first one.
        assert writes[0].status == 200 or b"may have been done" in writes[0].body
        assert [answer.status for answer in writes[1:]] == [200] * (ROUNDS - 1)
    pair.settled()
    assert len(pair.pids()) == 2
    assert pair.log().count("attention") == warnings, "the configuration is what it was"
    assert set(before) - set(pair.pids()) == {before[which]}
    with pair.both() as workers:
        for each in workers:
            assert do(each, "GET", "secret/data/kept")["data"]["data"] == {"turn": ROUNDS - 1}


def test_a_worker_that_is_started_in_a_vault_that_somebody_sealed_stays_sealed(pair: Pair) -> None:
    pair.settled()
    with pair.both() as (one, other):
        do(other, "PUT", "sys/seal")
        (first, second), known = pair.pids(), pair.log().count("a worker serves")
        os.kill(second, signal.SIGKILL)
        wait_until(lambda: pair.log().count("a worker serves") > known, pair.log, PATIENCE)
        assert first in pair.pids()
        assert do(one, "GET", "sys/seal-status")["sealed"] is True
        assert do(one, "PUT", "sys/unseal", {"key": pair.server.key})["sealed"] is False
        pair.settled()


def test_a_worker_that_does_not_answer_is_ended_before_a_seal_is_answered(pair: Pair) -> None:
    pair.settled()
    with pair.both() as (one, _):
        hung = pair.pids()[1]
        os.kill(hung, signal.SIGSTOP)
        do(one, "PUT", "sys/seal")
        assert hung not in pair.pids()
        assert do(one, "PUT", "sys/unseal", {"key": pair.server.key})["sealed"] is False
        pair.settled()


def test_a_first_worker_that_is_late_to_listen_is_not_taken_for_a_dead_one(pair: Pair) -> None:
    """Whoever can connect has more passed on to it at once than its connection to the supervisor takes."""
    pair.settled()
    first, other = pair.pids()
    with contextlib.ExitStack() as crowd:
        os.kill(first, signal.SIGSTOP)
        for _ in range(CROWD):
            client = crowd.enter_context(socket.create_connection(("127.0.0.1", pair.server.port)))
            client.sendall(b"GET /v1/sys/init HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: len(os.listdir(f"/proc/{other}/fd")) > 2 * CROWD, pair.log, PATIENCE)
        os.kill(other, signal.SIGKILL)
        wait_until(lambda: other not in pair.pids(), pair.log, PATIENCE)
        assert first in pair.pids(), pair.log()
        os.kill(first, signal.SIGCONT)
    pair.settled()
    assert first in pair.pids()


def test_a_reload_reaches_every_worker_and_drops_nobody(pair: Pair) -> None:
    pair.settled()
    with pair.both() as workers, ThreadPoolExecutor(2) as pool:
        known, reloaded = pair.log().count("server: reloaded"), threading.Event()
        busy = [
            pool.submit(_asked_until, reloaded, each, f"n{number}") for number, each in enumerate(workers)
        ]
        try:
            os.kill(pair.server.pid, signal.SIGHUP)
            wait_until(lambda: pair.log().count("server: reloaded") == known + 2, pair.log, PATIENCE)
        finally:
            reloaded.set()
        for each in busy:
            assert each.result() > 1


def _asked_until(ended: threading.Event, client: Client, name: str) -> int:
    """Write and read by one connection, of which each has to succeed, until it is over and once more; return how often."""
    turns = 0
    while not (ended.is_set() and turns > 1):
        turns += 1
        do(client, "POST", f"secret/data/{name}", {"data": {"turn": turns}})
        assert do(client, "GET", f"secret/data/{name}")["data"]["data"] == {"turn": turns}
    return turns


def test_metrics_are_those_of_both_workers(pair: Pair) -> None:
    pair.settled()
    with pair.both() as workers:
        counted = "vault_core_handle_request_count"

        def count(client: Client) -> int:
            shown = client.request("GET", "/v1/sys/metrics?format=prometheus").body.decode()
            return sum(
                int(line.rpartition(" ")[2]) for line in shown.splitlines() if line.startswith(f"{counted} ")
            )

        before = count(workers[0])
        for each in workers:
            for _ in range(ROUNDS):
                do(each, "GET", "secret/data/a")
        assert count(workers[1]) >= before + 2 * ROUNDS


def test_a_killed_supervisor_takes_its_workers_along_and_what_was_acknowledged_is_there(pair: Pair) -> None:
    pair.settled()
    workers, kept = pair.pids(), 0

    def write() -> None:
        nonlocal kept
        with pair.server.client() as client, contextlib.suppress(*CLIENT_ERRORS):
            while True:
                do(client, "POST", f"secret/data/n{kept + 1}", {"data": {}})
                kept += 1

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    wait_until(lambda: kept > 20, pair.log, PATIENCE)
    pair.server.kill()
    writer.join()
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), pair.log, PATIENCE)
    pair.server.start()
    pair.server.unseal()
    pair.settled()
    with pair.server.client() as client:
        for number in range(1, kept + 1):
            do(client, "GET", f"secret/data/n{number}")


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_nothing_that_was_acknowledged_is_lost_whoever_is_killed_or_stands_still_under_load(
    tmp_path: Path,
) -> None:
    server = Hasty(tmp_path, more=f'workers = 2\nlog {{ path = "{tmp_path}/log" }}\n')
    pair, kept, refused = Pair(server), {}, []
    receipts: list[Receipt] = []
    ended = threading.Event()

    def write(name: str) -> None:
        number = 0
        while not ended.is_set():
            with contextlib.suppress(*CLIENT_ERRORS), Keeper(server, receipts) as client:
                while not ended.is_set():
                    answer = client.request("POST", f"/v1/secret/data/{name}", {"data": {"n": number}})
                    if answer.status == 200:
                        kept[name] = (answer.json()["data"]["version"], number)
                        number += 1
                    elif answer.status != 503:
                        refused.append(answer.body)

    server.start()
    server.initialise()
    writers = [threading.Thread(target=write, args=(f"w{each}",), daemon=True) for each in range(8)]
    try:
        for writer in writers:
            writer.start()
        for turn in range(KILLS):
            pair.settled()
            if turn % 10 == 9:
                server.kill()
                server.start()
                server.unseal()
            else:
                os.kill(pair.pids()[turn % 2], signal.SIGSTOP if turn % 10 in {2, 5} else signal.SIGKILL)
        pair.settled()
        ended.set()
        for writer in writers:
            writer.join()
        with server.client() as client:
            for name, (version, number) in kept.items():
                found = do(client, "GET", f"secret/data/{name}")["data"]
                assert found["metadata"]["version"] >= version
                assert found["data"]["n"] >= number or found["metadata"]["version"] > version
        assert all(b"may have been done" in body for body in refused), refused[:3]
    finally:
        ended.set()
        code = server.stop()
    assert code == 0
    check_recorded(receipts, tmp_path / "log")
