# SPDX-License-Identifier: EUPL-1.2
"""Chains that are presented: kept when they are first seen, found again, shown as trees, and seen to die."""

import asyncio
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nhi.biscuit.format.chain import read_chain, write_chain
from nhi.biscuit.format.printer import print_key
from nhi.biscuit.offline.attenuate import append, seal
from nhi.biscuit.offline.keys import public_key
from nhi.biscuit.offline.verify import from_text, to_text
from nhi.biscuit.records import lineage
from nhi.holder.tokens import look
from tests.routes.driver import Application
from tests.routes.holdings import is_over, new_lease
from tests.routes.issuer import DB, LOOK, OTHER, READS, TO_DB, Issuer
from vault.framework.clock import rfc3339
from vault.framework.concurrency import time_slice as pace
from vault.server.compose.groups.capacities import Capacities
from vault.values.ids import ROOT_ID
from vault.values.times import Seconds, nanos_after, second_of


def _found(issuer: Issuer, query: str = "") -> list[str]:
    found = issuer.root(f"nhi/credentials?{query}", method="GET")["data"]
    return [one["token_id"] for one in found["credentials"]]


def _from(issuer: Issuer, address: str, token: str, path: str = DB) -> int:
    before, issuer.application.client = issuer.application.client, (address, 1)
    status = issuer.status(token, path)
    issuer.application.client = before
    return status


def test_a_chain_is_a_tree_of_what_each_hop_took_away(issuer: Issuer) -> None:
    token = issuer.issue()
    reads = issuer.narrow(token, READS)
    db = issuer.narrow(reads, TO_DB, "check if time($t), $t < 2100-01-01T00:00:00Z;")
    other = issuer.narrow(reads, 'check if resource("secret/data/app/other");')
    assert [issuer.status(one, path) for one, path in ((db, DB), (other, OTHER), (token, DB))] == [200] * 3
    shown = issuer.tree(token)
    nodes = shown["nodes"]
    assert [node["index"] for node in nodes] == [0, 1, 2, 3, 2]
    assert [node["narrowing"] for node in nodes[1:]] == [
        ["operations: read"],
        ["below: secret/data/app/db"],
        ["until 2100-01-01T00:00:00Z"],
        ["path: secret/data/app/other"],
    ]
    assert nodes[0]["narrowing"][0] == "audience: vault"
    ids = [node["id"] for node in nodes]
    assert [node["parent"] for node in nodes] == ["", ids[0], ids[1], ids[2], ids[1]]
    assert [node["sources"] for node in nodes] == [["127.0.0.1"], [], [], ["127.0.0.1"], ["127.0.0.1"]]
    assert nodes[3]["anomalies"] == ["no-op", "outlives-parent"]
    credential = shown["credential"]
    assert (credential["depth"], credential["blocks"], credential["state"]) == (4, 5, "active")
    assert (credential["workload"], credential["method"]) == ("w1", "issue")


APPROVER = print_key(public_key(Ed25519PrivateKey.from_private_bytes(b"1" * 32)))


@pytest.mark.parametrize(
    ("check", "words"),
    [
        ('check if client_nets($n), $n.contains("10.0.0.0/8");', "from 10.0.0.0/8"),
        (
            'check if client_nets($n), $n.contains("10.0.0.0/8") or client_nets($n), $n.contains("fe80::/10");',
            "from 10.0.0.0/8 or from fe80::/10",
        ),
        (
            'check if resource("secret/data/a") or resource($r), $r.starts_with("secret/data/b/");',
            "path: secret/data/a or below: secret/data/b/",
        ),
        ('check if method("GET");', "method: GET"),
        ('check if audience_srv("vault");', "audience: vault"),
        ("check if audience_srv($a), audience($s), $s.contains($a);", "audience: vault"),
        (f'check if body_sha256("{"0" * 64}");', f"one request, with the body of SHA-256: {'0' * 64}"),
        (f'check if pop_proved("jkt", "{"x" * 43}");', f"only with the key {'x' * 43}"),
        (
            f"check if approved($c, $u), time($t), $t < $u trusting {APPROVER};",
            f"fresh approval by {APPROVER}",
        ),
        ('check if client_nets($n), $n.contains("10.0.0.0/8 or anywhere");', ""),
        ('check if client_nets($n), !$n.contains("10.0.0.0/8");', ""),
        ('check if client_nets($n), resource($n), $n.contains("10.0.0.0/8");', ""),
        ('check if client_nets("10.0.0.0/8");', ""),
        ('check if method("GET or anything");', ""),
        ('check if resource("a or below: b") or resource("c");', ""),
        ("check if audience_srv($a), audience($s), $a.contains($s);", ""),
        ("check if audience_srv($a), audience($s), !$s.contains($a);", ""),
        ('check if pop_proved("password", "x");', ""),
        (f"check if approved($c, $u), time($t), $u < $t trusting {APPROVER};", ""),
        (f"check if approved($c, $u), time($t), $t < $u, 1 == 2 trusting {APPROVER};", ""),
        ("check if approved($c, $u), time($t), $t < $u;", ""),
        ("check if approved($c, $u), time($t), $t < $u trusting previous;", ""),
        ('check all client_nets($n), $n.contains("10.0.0.0/8");', ""),
    ],
)
def test_a_hop_is_told_in_words_where_they_say_exactly_what_it_demands(
    issuer: Issuer, check: str, words: str
) -> None:
    shown = issuer.root("nhi/introspect", {"token": issuer.narrow(issuer.issue(), check)})["data"]["blocks"]
    said = shown[1]["narrowing"]
    assert len(said) == 1
    if words:
        assert said == [words]
    else:
        assert said[0].startswith("check ")


def test_credentials_are_found_by_workload_time_source_and_anomaly_newest_first(issuer: Issuer) -> None:
    first = issuer.issue()
    assert _from(issuer, "10.0.0.1", first) == 200
    issuer.application.clock.sleep(10)
    issuer.root("nhi/workloads/w2", {"owner": "team-b", "ttl": "30d"})
    issuer.root("nhi/registrations/r2", {"workload": "w2", "policies": "app"})
    second = issuer.root("nhi/issue/r2", {})["auth"]["client_token"]
    assert issuer.status(issuer.narrow(second, "check if true;"), DB) == 200
    one, two = issuer.token_id(first), issuer.token_id(second)
    assert _found(issuer) == [two, one]
    assert _found(issuer, "workload=w1") == [one]
    assert _found(issuer, "workload=w") == []
    assert _found(issuer, "source=10.0.0.1") == [one]
    assert _found(issuer, "anomaly=no-op") == [two]
    assert _found(issuer, "anomaly=any") == [two]
    seen = issuer.root(f"nhi/credentials/{two}", method="GET")["data"]["credential"]["first_seen"]
    assert _found(issuer, f"since={seen}") == [two]
    assert _found(issuer, f"until={seen}") == [one]
    assert _found(issuer, "until=1960-01-01T00:00:00Z") == []
    page = issuer.root("nhi/credentials?limit=1", method="GET")["data"]
    assert _found(issuer, f"limit=1&after={page['next']}") == [one]
    for query in (
        "limit=0",
        "limit=1001",
        "since=yesterday",
        "until=2026-01-01T00:00:00",
        "after=x",
        "anomaly=no-opp",
    ):
        target = f"/v1/nhi/credentials?{query}"
        assert issuer.application.request("GET", target, token="root").status == 400
    assert issuer.application.request("GET", "/v1/nhi/credentials/x", token="root").status == 404
    unseen = issuer.tree(issuer.issue())
    assert (unseen["credential"]["first_seen"], len(unseen["nodes"])) == ("", 1)


def test_a_first_sight_is_in_the_audit_log_once(issuer: Issuer) -> None:
    narrow = issuer.narrow(issuer.issue(), READS)
    issuer.application.records()
    assert [issuer.status(narrow, DB) for _ in range(2)] == [200, 200]
    sightings = [
        record["response"]["sighting"]
        for record in issuer.application.records()
        if "sighting" in record.get("response", {})
    ]
    nodes = issuer.tree(narrow)["nodes"]
    ids = [node["id"] for node in nodes]
    assert sightings == [
        {"token_id": issuer.token_id(narrow), "chain": ids, "first_seen": ids, "anomalies": []}
    ]


def test_the_same_chain_from_elsewhere_is_noticed_also_while_it_is_remembered(issuer: Issuer) -> None:
    token = issuer.issue()
    assert [_from(issuer, f"10.0.0.{place}", token) for place in (1, 2, 1, 2)] == [200] * 4
    node = issuer.tree(token)["nodes"][0]
    assert (node["source"], node["sources"]) == ("10.0.0.1", ["10.0.0.1", "10.0.0.2"])
    assert node["anomalies"] == ["several-sources"]
    assert {_from(issuer, f"10.0.1.{place}", token) for place in range(20)} == {200}
    assert len(issuer.tree(token)["nodes"][0]["sources"]) == lineage.MOST_SOURCES


def test_what_is_refused_is_kept_with_the_reason(issuer: Issuer) -> None:
    issuer.root("nhi/registrations/r1", {"workload": "w1", "policies": "app", "max_depth": 2})
    token = issuer.issue()
    liar = issuer.narrow(token, 'policy("root");')
    deep = issuer.narrow(token, READS, READS)
    dear = issuer.narrow(token, 'check if resource($r), $r.matches("a");')
    gone = issuer.narrow(token, TO_DB)
    assert issuer.status(gone, DB) == 200
    issuer.root("nhi/revoke", {"token": gone, "reason": "lost"})
    assert {issuer.status(one, DB) for one in (liar, deep, dear, gone)} == {403}
    odd = {node["id"]: node for node in issuer.tree(token)["nodes"]}
    by_anomaly = {anomaly: node for node in odd.values() for anomaly in node["anomalies"]}
    assert set(by_anomaly) == {"reserved-fact", "refused-block", "no-op", "too-deep", "used-after-revocation"}
    assert "only the server or the issuer" in by_anomaly["reserved-fact"]["refused"]
    used = by_anomaly["used-after-revocation"]
    assert (used["revoked"], used["reason"], used["narrowing"]) == (
        True,
        "lost",
        ["below: secret/data/app/db"],
    )
    never = issuer.narrow(gone, READS)
    assert issuer.status(never, DB) == 403
    assert issuer.tree(token)["nodes"][-1]["anomalies"] == ["used-after-revocation"]


def test_a_token_that_nobody_issued_is_an_alarm(issuer: Issuer) -> None:
    token = issuer.issue()
    token_id = issuer.token_id(token)
    issuer.application.run(_delete(issuer.application, f"issued/{token_id}"))
    made = [issuer.narrow(token, f"check if time($t), $t < 21{i:02}-01-01T00:00:00Z;") for i in range(70)]
    assert {issuer.status(one, DB) for one in (token, token, *made)} == {403}
    found = issuer.root("nhi/orphans", method="GET")["data"]
    assert (len(found["orphans"]), found["more"]) == (lineage.MOST_ORPHANS, True)
    first = found["orphans"][0]
    assert (first["token_id"], first["workload"], first["source"]) == (token_id, "w1", "127.0.0.1")


async def _delete(application: Application, path: str) -> None:
    table = application.vault.mounts.router.root
    mount = next(mount for mount in table if mount.entry.path == "nhi/")
    async with application.vault.ground.barrier.write(ROOT_ID, f"ns/root/mnt/{mount.entry.uuid}/") as view:
        await view.delete(path)


def test_whoever_makes_any_number_of_children_fills_no_storage(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "MOST_NODES", 5)
    token = issuer.issue()
    children = [issuer.narrow(token, f'check if resource($r), $r != "{place}";') for place in range(8)]
    assert {issuer.status(child, DB) for child in children} == {200}
    tree = issuer.tree(token)
    assert (len(tree["nodes"]), tree["more"]) == (5, True)
    assert "more-than-recorded" in tree["credential"]["anomalies"]
    monkeypatch.setattr(lineage, "MOST_BYTES", 2000)
    long = issuer.issue()
    wide = [f'check if resource($r), $r != "{place}{"x" * 2000}";' for place in range(3)]
    assert {issuer.status(issuer.narrow(long, block), DB) for block in wide} == {200}
    assert len(json.dumps(issuer.tree(long))) < 4000


def test_a_token_for_one_request_leaves_no_node(issuer: Issuer) -> None:
    token = issuer.issue()
    for end in (
        'check if body_sha256("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");',
        f"check if time($t), $t < {_soon(issuer)};",
    ):
        once = to_text(write_chain(seal(read_chain(from_text(issuer.narrow(token, end))))))
        assert issuer.status(once, DB) == 200
    assert [node["index"] for node in issuer.tree(token)["nodes"]] == [0]


def _soon(issuer: Issuer) -> str:
    return rfc3339(nanos_after(second_of(issuer.application.clock.nanos()), Seconds(60)))


def test_a_tree_is_removed_some_time_after_its_token_ended(issuer: Issuer) -> None:
    token = issuer.issue()
    narrow = issuer.narrow(token, READS)
    assert issuer.status(narrow, DB) == 200
    token_id = issuer.token_id(token)
    background = issuer.application.vault._background

    def rows() -> int:
        return sum(
            path.split("/")[4] in {"tree", "node", "at", "by"}
            for path in issuer.application.stored()
            if path.startswith("ns/root/mnt/")
        )

    assert rows() == 5
    issuer.application.clock.sleep(3600 + 86_400)
    issuer.application.run(background.work())
    target = f"/v1/nhi/credentials/{token_id}"
    shown = issuer.application.request("GET", target, token="root")
    assert shown.json()["data"]["credential"]["state"] == "expired"
    issuer.application.clock.sleep(lineage.RETENTION)
    issuer.application.run(background.work())
    assert issuer.application.request("GET", target, token="root").status == 404
    assert rows() == 0


@pytest.mark.parametrize("check", ["3200", "32021001", "32021002"], ids=["if", "all", "reject"])
def test_a_check_that_asks_nothing_lets_nothing_through_and_is_told_so(issuer: Issuer, check: str) -> None:
    token = issuer.issue()
    block = bytes.fromhex("1806" + check)  # version 3.3, and a check without queries
    bare = to_text(write_chain(append(read_chain(from_text(token)), block, b"3" * 32)))
    assert [issuer.status(bare, path) for path in (DB, LOOK)] == [403, 200]
    node = issuer.tree(token)["nodes"][1]
    assert (node["narrowing"], node["anomalies"]) == (["lets nothing through"], [])


def test_an_end_that_no_calendar_shows_is_no_end(issuer: Issuer) -> None:
    token = issuer.issue()
    shown = read_chain(from_text(issuer.narrow(token, "check if time($t), $t < 9999-12-31T23:59:59Z;")))
    last, beyond = ("ff82d1ffaf07", "ffffffffff7f")  # seconds as protobuf writes them
    block = shown.blocks[-1].block.hex()
    assert block.count(last) == 1
    made = append(read_chain(from_text(token)), bytes.fromhex(block.replace(last, beyond)), b"2" * 32)
    far = to_text(write_chain(made))
    assert [issuer.status(far, path) for path in (DB, LOOK)] == [200, 200]
    assert issuer.tree(token)["nodes"][1]["narrowing"] == ["check if time($t), $t < <second 4398046511103>"]
    assert look(far, None).until == look(token, None).until


def test_what_was_made_for_a_block_that_is_in_no_tree_is_taken_back_with_it(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "MOST_NODES", 2)
    token, application = issuer.issue(), issuer.application
    held = [issuer.narrow(token, f'check if resource($r), $r != "{place}";') for place in range(3)]
    once = issuer.narrow(token, f"check if time($t), $t < {_soon(issuer)};")
    held.append(to_text(write_chain(seal(read_chain(from_text(once))))))
    leases = [application.run(new_lease(application, one)) for one in held]
    assert len(issuer.tree(token)["nodes"]) == 2
    for one in held[2:]:
        issuer.root("nhi/revoke", {"token": one})
    application.settle()
    over = [application.run(is_over(application, one)) for one in leases]
    assert over == [False, False, True, True]


def test_a_preview_says_what_dies_and_it_does(issuer: Issuer) -> None:
    token = issuer.issue()
    reads = issuer.narrow(token, READS)
    db, other = issuer.narrow(reads, TO_DB), issuer.narrow(token, TO_DB)
    assert {issuer.status(one, DB) for one in (token, db, other)} == {200}
    ids = [node["id"] for node in issuer.tree(token)["nodes"]]

    def preview(**what: object) -> tuple[int, int, list[str]]:
        data = issuer.root("nhi/revoke/preview", what)["data"]
        return data["credentials"], data["blocks"], [one["id"] for one in data["dying"]]

    assert preview(token=reads) == (1, 2, ids[1:3])
    assert preview(id=ids[0]) == preview(token=db, block=0) == (1, 4, ids)
    assert preview(workload="w1") == (1, 4, ids)
    kid = int(issuer.tree(token)["credential"]["kid"])
    assert preview(kid=kid) == (1, 4, ids)
    assert preview(id="0" * 32) == (0, 0, [])
    assert preview(token=issuer.narrow(issuer.issue(), TO_DB))[:2] == (1, 1)
    assert {issuer.status(one, DB) for one in (token, db, other)} == {200}
    assert issuer.root("nhi/revoke", {"id": ids[1]})["data"]["blocks"] == 2
    assert [issuer.status(one, DB) for one in (token, reads, db, other)] == [200, 403, 403, 200]
    assert preview(id=ids[0]) == (1, 2, [ids[0], ids[3]])
    assert issuer.root("nhi/revoke", {"workload": "w1", "reason": "gone"})["data"]["credentials"] == 1
    held = issuer.root("nhi/workloads/w1", method="GET")["data"]
    assert (held["disabled"], held["reason"]) == (True, "gone")
    assert issuer.status(other, DB) == 403
    assert issuer.tree(token)["credential"]["state"] == "workload-ended"
    assert preview(workload="w1") == (0, 0, [])
    issuer.root("nhi/revoke", {"kid": kid})
    for body in (
        {},
        {"id": "x"},
        {"workload": "w9"},
        {"kid": kid},
        {"id": ids[0], "kid": kid},
        {"id": ids[1], "block": 0},
        {"token": "x"},
    ):
        assert issuer.application.request("POST", "/v1/nhi/revoke", body, token="root").status == 400


@pytest.mark.parametrize("capacities", [Capacities(blocks=4)], ids=["four"])
def test_a_look_at_many_blocks_is_bounded_and_says_so(issuer: Issuer) -> None:
    def seen() -> str:
        token = issuer.issue()
        assert {issuer.status(issuer.narrow(token, block), DB) for block in (READS, TO_DB)} == {200}
        return issuer.token_id(token)

    old = [seen() for _ in range(3)]
    pages: list[list[str]] = []
    after = ""
    while not pages or after:
        page = issuer.root(f"nhi/credentials?after={after}", method="GET")["data"]
        pages.append([one["token_id"] for one in page["credentials"]])
        after = page["next"]
    assert sorted(map(len, pages)) == [1, 2]
    assert sorted(one for page in pages for one in page) == sorted(old)
    before = issuer.root("nhi/revoke/preview", {"workload": "w1"})["data"]
    assert (before["credentials"], before["blocks"], before["more"]) == (2, 6, True)
    issuer.application.clock.sleep(3 * 86_400)
    seen()
    later = issuer.root("nhi/revoke/preview", {"workload": "w1"})["data"]
    assert (later["credentials"], later["blocks"], later["more"]) == (1, 3, False)


@pytest.mark.parametrize("path", ["nhi/credentials?anomaly=any", "nhi/report"])
def test_a_look_at_many_gives_way_to_others(
    issuer: Issuer, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for number in range(20):
        issuer.root(f"nhi/registrations/r{number:02}", {"workload": "w1", "policies": "app"})
        assert issuer.status(issuer.issue(), DB) == 200
    monkeypatch.setattr(pace, "STRETCH", 0.0)
    turns = 0

    async def looked() -> None:
        nonlocal turns
        look = asyncio.ensure_future(issuer.application.ask("GET", f"/v1/{path}", token="root"))
        while not look.done():
            turns += 1
            await asyncio.sleep(0)
        assert (await look).status == 200

    issuer.application.run(looked())
    assert turns >= 20


def test_a_report_names_who_still_logs_in_by_secret_first(issuer: Issuer) -> None:
    issuer.root("nhi/registrations/a1", {"workload": "w1", "policies": "app"})
    secret = issuer.root("nhi/registrations/r1/secret")["data"]
    issuer.issue()
    for _ in range(2):
        assert issuer.application.request("POST", "/v1/nhi/login", secret).status == 200
    report = issuer.root("nhi/report", method="GET")["data"]["registrations"]
    assert [one["registration"] for one in report] == ["r1", "a1"]
    assert (report[0]["owner"], report[0]["uses_secret"], report[1]["uses_secret"]) == ("team-a", True, False)
    counts = {method: info["count"] for method, info in report[0]["methods"].items()}
    assert counts == {"client_secret": 2, "issue": 1}


def test_a_report_comes_in_pages_and_says_when_workloads_end(issuer: Issuer) -> None:
    for name in ("a1", "a2"):
        issuer.root(f"nhi/registrations/{name}", {"workload": "w1", "policies": "app"})
    held = issuer.root("nhi/workloads/w1", method="GET")["data"]

    def report(query: str) -> tuple[list[str], str]:
        data = issuer.root(f"nhi/report?{query}", method="GET")["data"]
        ends = {(one["workload_expire_time"], one["workload_disabled"]) for one in data["registrations"]}
        assert ends <= {(held["expire_time"], held["disabled"])}
        return [one["registration"] for one in data["registrations"]], data["next"]

    assert report("") == (["a1", "a2", "r1"], "")
    assert report("limit=2") == (["a1", "a2"], "a2")
    assert report("limit=2&after=a2") == (["r1"], "")
    assert report("limit=3") == (["a1", "a2", "r1"], "r1")
    assert report("after=r1") == ([], "")
    for query in ("limit=-1", "limit=1001"):
        assert issuer.application.request("GET", f"/v1/nhi/report?{query}", token="root").status == 400
    issuer.root("nhi/workloads/w1/revoke", {})
    held = issuer.root("nhi/workloads/w1", method="GET")["data"]
    assert held["disabled"] is True
    assert report("limit=1") == (["a1"], "a1")


def test_an_id_of_another_mount_revokes_nothing(issuer: Issuer) -> None:
    token = issuer.issue()
    assert issuer.status(token, DB) == 200
    block = issuer.tree(token)["nodes"][0]["id"]
    issuer.application.request("POST", "/v1/sys/mounts/nhi2", {"type": "nhi"}, token="root")
    assert issuer.root("nhi2/revoke", {"id": block})["data"]["blocks"] == 0
    refused = issuer.application.request("POST", "/v1/nhi2/revoke", {"token": token}, token="root")
    assert refused.status == 400
    assert issuer.root("nhi2/introspect", {"token": token})["data"] == {
        "active": False,
        "refusal": "no key of this mount has signed it",
    }
    assert issuer.status(token, DB) == 200


def test_a_mount_says_how_long_it_keeps_what_it_has_seen(issuer: Issuer) -> None:
    assert issuer.root("nhi/config", method="GET")["data"] == {"lineage_ttl": lineage.RETENTION}
    before = issuer.issue()
    assert issuer.status(before, DB) == 200
    assert issuer.root("nhi/config", {"lineage_ttl": "1h"})["data"] == {"lineage_ttl": 3600}
    after = issuer.issue()
    assert issuer.status(after, DB) == 200
    targets = [f"/v1/nhi/credentials/{issuer.token_id(one)}" for one in (before, after)]
    issuer.application.clock.sleep(3600 + 3700)
    issuer.application.settle()
    found = [issuer.application.request("GET", target, token="root").status for target in targets]
    assert found == [200, 404]


def test_a_tree_is_found_by_each_of_its_blocks_too(issuer: Issuer) -> None:
    token = issuer.issue()
    assert issuer.status(issuer.narrow(token, READS), DB) == 200
    shown = issuer.tree(token)
    for node in shown["nodes"]:
        assert issuer.root(f"nhi/credentials/{node['id']}", method="GET")["data"] == shown
    unknown = f"/v1/nhi/credentials/{'00' * 16}"
    assert issuer.application.request("GET", unknown, token="root").status == 404


def test_a_chain_that_another_node_saw_meanwhile_is_in_its_tree_once(issuer: Issuer) -> None:
    token = issuer.issue()
    first, second = (issuer.narrow(token, f"hop({number}); {READS}") for number in range(2))
    there = issuer.application.another_server()
    assert issuer.status(first, DB) == 200
    assert there.request("GET", f"/v1/{DB}", token=second).status == 200
    issuer.application.records()
    assert issuer.status(second, DB) == 200
    assert not any("sighting" in record.get("response", {}) for record in issuer.application.records())
    assert len(issuer.tree(token)["nodes"]) == 3
    there.close()
