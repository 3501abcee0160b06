# SPDX-License-Identifier: EUPL-1.2
"""`sys/log` of a real server: what happened is found, by whom a policy lets, whole and proven."""

import json
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from tests.fuzz.process import PATIENCE, Answer, Client, VaultProcess, initialised
from vault.log.format.note_key import Verifier
from vault.log.format.proof import check_proof, parse_proof
from vault.log.format.tree import leaf_hash

READER = 'path "sys/log/*" { capabilities = ["read", "update", "list"] }'
APP = 'path "secret/data/shop/*" { capabilities = ["read"] }'
EVERYTHING = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'
pytestmark = pytest.mark.loopback
_RECEIPT = re.compile(r'log="([0-9a-f-]+)", seq=(\d+)')


@pytest.fixture(scope="module")
def vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VaultProcess]:
    with initialised(tmp_path_factory.mktemp("vault")) as process:
        with process.client() as root:
            for name, text in (("reader", READER), ("app", APP), ("everything", EVERYTHING)):
                root.request("PUT", f"/v1/sys/policies/acl/{name}", {"policy": text})
        yield process


def _client(vault: VaultProcess, policy: str, **more: Any) -> Client:
    with vault.client() as root:
        answer = root.request("POST", "/v1/auth/token/create", {"policies": [policy], **more})
        return vault.client(answer.json()["auth"]["client_token"])


def _receipt(answer: Answer) -> tuple[str, int]:
    found = _RECEIPT.fullmatch(answer.headers["log-receipt"])
    assert found is not None
    return found[1], int(found[2])


def _through(reader: Client, receipt: tuple[str, int]) -> None:
    """Wait until a record is indexed."""
    until = time.monotonic() + PATIENCE
    while True:
        page = reader.request("GET", "/v1/sys/log/records?limit=1").json()["data"]
        if page["indexed_through"].get(receipt[0], -1) >= receipt[1]:
            return
        assert time.monotonic() < until
        time.sleep(0.05)


def test_who_read_a_secret_is_found_with_the_rule_that_let_them(vault: VaultProcess) -> None:
    with vault.client() as root, _client(vault, "app") as app, _client(vault, "reader") as reader:
        root.request("POST", "/v1/secret/data/shop/pin", {"data": {"pin": 4711}})
        read = app.request("GET", "/v1/secret/data/shop/pin")
        refused = app.request("DELETE", "/v1/secret/data/shop/pin")
        _through(reader, _receipt(refused))
        target = "/v1/sys/log/records?resource=secret/shop/pin&event=esa.kv.read"
        (record,) = reader.request("GET", target).json()["data"]["records"]
        assert record["policy"] == {"grant": [{"policy": "app", "rule": "secret/data/shop/*"}]}
        assert (record["log"], record["seq"]) == _receipt(read)
        target = "/v1/sys/log/records?resource=secret/shop/*&outcome=denied"
        (denied,) = reader.request("GET", target).json()["data"]["records"]
        assert denied["policy"]["reason"] == "the rule does not grant delete"
        assert denied["resource"] == {"id": "secret/shop/pin", "type": "kv.secret"}
        for decided in ("policy=app", "rule=secret/data/shop/*"):
            target = f"/v1/sys/log/records?{decided}&outcome=denied"
            assert denied in reader.request("GET", target).json()["data"]["records"]


@pytest.mark.parametrize("policy", ["everything", "app"])
def test_the_right_to_read_the_log_is_one_of_its_own(vault: VaultProcess, policy: str) -> None:
    with _client(vault, policy) as other, vault.client() as root, _client(vault, "reader") as reader:
        for client in (other, root):
            for target in ("records", "status", "counts", "schema", "checkpoints/x", "segments/x"):
                answer = client.request("GET", f"/v1/sys/log/{target}")
                assert answer.status == 403, target
        _through(reader, _receipt(answer))
        target = "/v1/sys/log/records?outcome=denied&event=esa.log.*&limit=1"
        (record,) = reader.request("GET", target).json()["data"]["records"]
        assert record["policy"]["reason"] == "no rule names the log"


def test_paging_gives_every_record_once_while_others_are_written(vault: VaultProcess) -> None:
    with vault.client() as root, _client(vault, "reader") as reader:
        for number in range(30):
            last = root.request("POST", f"/v1/secret/data/paged/{number}", {"data": {}})
        _through(reader, _receipt(last))
        for order in ("asc", "desc"):
            target = f"/v1/sys/log/records?resource=secret/paged/*&event=esa.kv.write&limit=7&order={order}"
            found: list[str] = []
            cursor = ""
            while True:
                page = reader.request("GET", target + cursor).json()["data"]
                found += [record["resource"]["id"] for record in page["records"]]
                if page["next"] is None:
                    break
                cursor = f"&cursor={page['next']}"
                root.request("POST", f"/v1/secret/data/other/{len(found)}", {"data": {}})
            expected = [f"secret/paged/{number}" for number in range(30)]
            assert found == (expected if order == "asc" else expected[::-1])


def test_a_cursor_is_of_one_search(vault: VaultProcess) -> None:
    with _client(vault, "reader") as reader:
        page = reader.request("GET", "/v1/sys/log/records?limit=1").json()["data"]
        changed = page["next"][:-2] + ("AA" if page["next"][-2:] != "AA" else "BB")
        for target in (
            f"/v1/sys/log/records?limit=1&cursor={changed}",
            f"/v1/sys/log/records?limit=1&outcome=denied&cursor={page['next']}",
            "/v1/sys/log/records?cursor=c1.x",
        ):
            answer = reader.request("GET", target)
            assert answer.status == 400
            assert "cursor is not of this search" in answer.body.decode()


def test_log_022_what_is_no_filter_is_refused(vault: VaultProcess) -> None:
    with _client(vault, "reader") as reader:
        for wrong, words in (
            ("colour=red", "no filter colour"),
            ("limit=1001", "limit must be between 1 and 1000"),
            ("order=up", "order must be asc or desc"),
            ("from=yesterday", "from must be a time in RFC 3339"),
            ("from=2026-02-30T00:00:00Z", "from must be a time in RFC 3339"),
            ("after=0&outcome=denied", "a log is followed without filters"),
            ("after=0&wait=61", "wait must be at most 60"),
            ("log=x", "say after which record"),
            ("actor=", "give a value to filter by, or leave out actor"),
            ("event=,&outcome=denied", "give a value to filter by, or leave out event"),
            ("rule=" + ",".join(["x"] * 101), "rule takes at most 100 values of at most 8192 characters"),
            ("actor=" + 8193 * "x", "actor takes at most 100 values of at most 8192 characters"),
            (f"after=0&log={41 * 'x'}", "a value is too long or too large, or there are too many"),
        ):
            answer = reader.request("GET", f"/v1/sys/log/records?{wrong}")
            assert (answer.status, words in answer.body.decode()) == (400, True), answer.body
        answer = reader.request("POST", "/v1/sys/log/records/search", {"outcome": ["denied", ""]})
        assert (answer.status, b"leave out outcome" in answer.body) == (400, True)
        value, plain = ["\1" * 8192] * 100, ["x" * 8192] * 100
        for filters, words in (
            ({"resource": plain, "actor": plain}, "all filters take at most 819200 characters together"),
            ({"resource": value}, "too large for the log reader: give fewer or shorter values"),
        ):
            answer = reader.request("POST", "/v1/sys/log/records/search", filters)
            assert (answer.status, words in answer.body.decode()) == (400, True), answer.body
        assert reader.request("POST", "/v1/sys/log/records/search", {"resource": plain}).status == 200
        assert reader.request("GET", "/v1/sys/log/records?to=9999-12-31T23:59:59Z").status == 200


def test_log_023_lines_end_with_a_line_about_the_page(vault: VaultProcess) -> None:
    with _client(vault, "reader") as reader:
        answer = reader.request(
            "GET", "/v1/sys/log/records?limit=3", headers={"Accept": "application/x-ndjson"}
        )
        assert answer.headers["content-type"] == "application/x-ndjson"
        *lines, end = answer.body.splitlines()
        assert len(lines) == 3
        assert {*json.loads(end)["$page"]} == {"complete", "indexed_through", "next"}
        assert {json.loads(line)["schema"] for line in lines} == {"https://coffre.eu/schemas/log/v1"}
        for accept in ("application/json, application/x-ndjson;q=0", "application/x-ndjsonx"):
            answer = reader.request("GET", "/v1/sys/log/records?limit=3", headers={"Accept": accept})
            assert answer.headers["content-type"] == "application/json"


def _write_three(root: Client, reader: Client, folder: str) -> None:
    """Write three secrets, and wait until that is indexed."""
    for number in range(3):
        root.request("POST", f"/v1/secret/data/{folder}/{number}", {"data": {"n": number}})
    _through(reader, _receipt(root.request("GET", f"/v1/secret/data/{folder}/2")))


def test_an_answer_is_recorded_by_how_many_records_it_has(vault: VaultProcess) -> None:
    with vault.client() as root, _client(vault, "reader") as reader:
        _write_three(root, reader, "number")
        search = "/v1/sys/log/records?resource=secret/number/*&limit=2"
        for accept in ("*/*", "application/x-ndjson"):
            answer = reader.request("GET", search, headers={"Accept": accept})
            log, seq = _receipt(answer)
            _through(reader, (log, seq))
            (record,) = reader.request("GET", f"/v1/sys/log/records/{log}/{seq}").json()["data"]["records"]
            assert record["fields"]["response"]["data"]["records"] == 2
            lines = (vault.folder / "audit.log").read_text().splitlines()
            (line,) = (line for line in lines if record["request.id"] in line and '"type":"response"' in line)
            assert json.loads(line)["response"]["data"]["records"] == 2


def test_an_answer_with_records_waits_in_a_wrapping(vault: VaultProcess) -> None:
    with vault.client() as root, _client(vault, "reader") as reader:
        _write_three(root, reader, "wrapped")
        search = "/v1/sys/log/records?resource=secret/wrapped/*&order=asc&limit=3"
        for accept in ("application/json", "application/x-ndjson"):
            plain = reader.request("GET", search, headers={"Accept": accept})
            wrapped = reader.request("GET", search, headers={"Accept": accept, "X-Vault-Wrap-TTL": "60"})
            with vault.client(wrapped.json()["wrap_info"]["token"]) as fetching:
                found = fetching.request("POST", "/v1/sys/wrapping/unwrap")
            assert found.status == 200
            told = [
                re.sub(rb'"(request_id|next)":"[^"]*"|"indexed_through":{[^}]*}', b"", answer.body)
                for answer in (plain, found)
            ]
            assert told[0].count(b"secret/wrapped/") > 1
            if accept == "application/json":
                told[0] = told[0].removesuffix(b"\n")  # as OpenBao's, which has none when it was wrapped
            assert told[0] == told[1]


def test_log_020_following_gives_every_record_once_and_in_order(vault: VaultProcess) -> None:
    with vault.client() as root, _client(vault, "reader") as reader:
        log, last = _receipt(root.request("POST", "/v1/secret/data/followed", {"data": {}}))
        after, seen = -1, []
        while after < last:
            page = reader.request("GET", f"/v1/sys/log/records?log={log}&after={after}&limit=20&wait=5")
            data = page.json()["data"]
            seen += [record["seq"] for record in data["records"]]
            after = data["next"]
        assert seen == list(range(after + 1))


def test_log_024_reading_wakes_no_tail(vault: VaultProcess) -> None:
    with _client(vault, "reader") as reader, _client(vault, "reader") as other:
        log, seq = _receipt(other.request("GET", "/v1/sys/log/records?limit=1"))
        target = f"/v1/sys/log/records?log={log}&after={seq}&wait=2"
        began = time.monotonic()
        with ThreadPoolExecutor(1) as beside:
            waiting = beside.submit(reader.request, "GET", target)
            read = 0
            while not waiting.done():
                assert other.request("GET", "/v1/sys/log/records?limit=1").status == 200
                read += 1
        assert time.monotonic() - began >= 1.9
        assert (waiting.result().status, read > 1) == (200, True)


def test_who_leaves_a_tail_is_no_longer_waited_for(vault: VaultProcess) -> None:
    with _client(vault, "reader") as reader, _client(vault, "reader") as leaving:
        log, seq = _receipt(reader.request("GET", "/v1/sys/log/records?limit=1"))
        target = f"/v1/sys/log/records?log={log}&after={seq + 1000}&wait=60"
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", vault.port)) as connection:
            head = f"GET {target} HTTP/1.1\r\nhost: x\r\nx-vault-token: {leaving.token}\r\n\r\n"
            connection.sendall(head.encode())
            time.sleep(0.5)
        target = "/v1/sys/log/records?event=esa.log.query&outcome=failed"
        kinds: set[str] = set()
        while "urn:coffre:error:failed" not in kinds:
            assert time.monotonic() - began < 30
            found = reader.request("GET", target).json()["data"]["records"]
            kinds = {record["error_type"] for record in found}


def test_who_follows_with_all_might_leaves_places_to_another_tenant(vault: VaultProcess) -> None:
    with vault.client() as root, _client(vault, "reader") as reader, ExitStack() as open_:
        root.request("POST", "/v1/sys/namespaces/quiet")
        root.request("PUT", "/v1/quiet/sys/policies/acl/reader", {"policy": READER})
        made = root.request("POST", "/v1/quiet/auth/token/create", {"policies": ["reader"]})
        log, seq = _receipt(reader.request("GET", "/v1/sys/log/records?limit=1"))
        target = f"/v1/sys/log/records?log={log}&after={seq + 100_000}&wait=30"
        head = f"GET {target} HTTP/1.1\r\nhost: x\r\nx-vault-token: {reader.token}\r\n\r\n".encode()
        for _ in range(150):
            open_.enter_context(socket.create_connection(("127.0.0.1", vault.port))).sendall(head)
        until = time.monotonic() + PATIENCE
        while (answer := reader.request("GET", target.replace("wait=30", "wait=0"))).status != 503:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert b"wait for one of them" in answer.body
        with vault.client(made.json()["auth"]["client_token"]) as quiet:
            waited = quiet.request("GET", f"/v1/quiet/sys/log/records?log={log}&after=0&wait=1")
            assert waited.status == 200
        assert reader.request("GET", "/v1/sys/log/records?limit=1").status == 200


def test_log_050_a_record_is_proven_offline(vault: VaultProcess) -> None:
    with vault.client() as root, _client(vault, "reader") as reader:
        log, seq = _receipt(root.request("POST", "/v1/secret/data/proven", {"data": {"a": "b"}}))
        _through(reader, (log, seq))
        until = time.monotonic() + PATIENCE
        while (answer := reader.request("GET", f"/v1/sys/log/records/{log}/{seq}/proof")).status != 200:
            assert (answer.status, answer.headers.get("retry-after")) == (404, "1"), answer.body
            assert time.monotonic() < until
            time.sleep(0.2)
        lines = reader.request(
            "GET", f"/v1/sys/log/records/{log}/{seq}", headers={"Accept": "application/x-ndjson"}
        )
        line = lines.body.splitlines()[0]
        status = reader.request("GET", "/v1/sys/log/status").json()["data"]
        key = Verifier.parse(status["keys"][log])
        checked = check_proof(parse_proof(answer.body), leaf_hash(line), key.name, [key])
        assert checked.checkpoint.size > seq
        with pytest.raises(ValueError):
            check_proof(parse_proof(answer.body), leaf_hash(line + b" "), key.name, [key])


def test_a_value_is_found_by_who_knows_it(vault: VaultProcess) -> None:
    with vault.client() as root, _client(vault, "reader") as reader:
        log, seq = _receipt(root.request("POST", "/v1/secret/data/known", {"data": {"pin": "hunter2"}}))
        (known,) = reader.request("POST", "/v1/sys/log/hash", {"input": "hunter2"}).json()["data"]["hashes"]
        _through(reader, (log, seq))
        (record,) = reader.request("GET", f"/v1/sys/log/records/{log}/{seq}").json()["data"]["records"]
        assert json.dumps({"$h": known}) in json.dumps(record)


def test_log_025_a_tenant_sees_nothing_of_another(vault: VaultProcess) -> None:
    with vault.client() as root:
        for name in ("crimson", "azure"):
            root.request("POST", f"/v1/sys/namespaces/{name}")
            root.request("POST", f"/v1/{name}/sys/mounts/{name}-kv", {"type": "kv"})
            root.request("PUT", f"/v1/{name}/sys/policies/acl/reader", {"policy": READER})
            for number in range(3):
                last = root.request("POST", f"/v1/{name}/{name}-kv/{name}-{number}", {"pin": name})
        made = root.request("POST", "/v1/azure/auth/token/create", {"policies": ["reader"]})
        whole = _client(vault, "reader")
        _through(whole, _receipt(last))
        log, seq = _receipt(root.request("GET", "/v1/crimson/crimson-kv/crimson-0"))
        _through(whole, (log, seq))
        with vault.client(made.json()["auth"]["client_token"]) as blue, whole:
            others = whole.request("GET", "/v1/sys/log/records?limit=1").json()["data"]["next"]
            answers = [
                blue.request("GET", f"/v1/azure/sys/log/{target}")
                for target in (
                    "records?limit=1000",
                    "records?event=esa.kv.*",
                    f"records?log={log}&after=-1&limit=1000",
                    f"records/{log}/{seq}",
                    f"records/{log}/{seq}/proof",
                    "counts?buckets=1",
                    "status",
                    f"segments/{log}",
                    f"segments/{log}/0",
                    f"tiles/{log}/tile/0/000",
                    "records?resource=crimson*",
                    f"records?limit=1&cursor={others}",
                )
            ]
            found = blue.request("GET", "/v1/azure/sys/log/records?limit=1000").json()["data"]["records"]
            assert answers[-2].json()["data"]["records"] == []
            assert answers[-1].status == 400
        assert len(found) >= 5
        assert {record["tenant"] for record in found} == {found[0]["tenant"]}
        for answer in answers:
            assert b"crimson" not in answer.body
        assert [answer.status for answer in answers[3:5]] == [404, 404]
        counted = sum(sum(part.values()) for part in answers[5].json()["data"]["buckets"])
        assert counted <= len(found) + len(answers)
