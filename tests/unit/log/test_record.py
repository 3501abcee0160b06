# SPDX-License-Identifier: EUPL-1.2
"""What the log says of a request: who, what, by which rule, how it ended; and no value but what a route declares clear."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from tests.routes.driver import Answer, Application
from tests.unit.log.folders import records
from vault.audit.device import DeviceFailure
from vault.log.format.tree import encode_hash, leaf_hash
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import StorageFailure

POLICY = 'path "secret/data/*" { capabilities = ["read"] }\npath "sys/seal" { capabilities = ["deny"] }'


@pytest.fixture
def here() -> Iterator[Application]:
    application = Application()
    yield application
    application.close()


def _after(
    here: Application, method: str, target: str, body: object = None, **more: Any
) -> tuple[Answer, list[Any]]:
    """The answer of a request, and the records that it left."""
    before = len(records(here.history))
    answer = here.request(method, target, body, **more)
    return answer, records(here.history)[before:]


def _token(here: Application) -> Any:
    here.request("POST", "/v1/sys/policies/acl/reader", {"policy": POLICY}, token="root")
    made = here.request("POST", "/v1/auth/token/create", {"policies": ["reader"]}, token="root")
    return made.json()["auth"]


def _hashes(here: Application, value: str) -> str:
    """What stands for a value."""
    common = here.vault.controls.audit.common
    assert common is not None
    return common.hashes(value)[0]


def test_a_read_leaves_one_record_that_says_all(here: Application) -> None:
    auth = _token(here)
    answer, found = _after(here, "GET", "/v1/secret/data/x", token=auth["client_token"])
    (record,) = found
    assert record["event_name"] == "esa.kv.read"
    assert record["resource"] == {"id": "secret/x", "type": "kv.secret", "version": 2}
    assert record["actor"] == {"id": f"accessor:{auth['accessor']}", "type": "token"}
    assert record["credential"] == {"accessor": auth["accessor"], "kind": "service"}
    assert record["policy"] == {"grant": [{"policy": "reader", "rule": "secret/data/*"}]}
    assert (record["phase"], record["outcome"], record["status_code"]) == ("outcome", "success", 200)
    assert record["request.id"] == answer.json()["request_id"]
    assert record["url.path"] == "secret/data/x"
    assert record["client.address"] == "127.0.0.1"


def test_a_write_whose_every_effect_is_in_its_transaction_leaves_one_record(here: Application) -> None:
    _, found = _after(here, "POST", "/v1/secret/data/y", {"data": {"a": "b"}}, token="root")
    assert [record["phase"] for record in found] == ["outcome"]


def test_any_other_leaves_an_attempt_before_it_acts(here: Application) -> None:
    _, found = _after(here, "PUT", "/v1/sys/policies/acl/p", {"policy": POLICY}, token="root")
    attempt, outcome = found
    assert (attempt["phase"], outcome["phase"]) == ("attempt", "outcome")
    assert "outcome" not in attempt
    assert attempt["fields"].items() <= outcome["fields"].items()
    shared = {*attempt} - {
        "fields",
        "phase",
        "seq",
        "prev_hash",
        "tenant_seq",
        "tenant_prev_hash",
        "observed_timestamp",
        "timestamp",
    }
    assert {name: attempt[name] for name in shared} == {name: outcome[name] for name in shared}


@pytest.mark.parametrize(
    ("method", "target", "reason", "rule"),
    [
        ("DELETE", "/v1/secret/data/x", "the rule does not grant delete", "secret/data/*"),
        ("GET", "/v1/sys/policies/acl/x", "no rule covers this path", None),
        ("POST", "/v1/sys/seal", "the rule denies", "sys/seal"),
    ],
)
def test_log_003_a_refusal_says_why_and_by_which_rule(
    here: Application, method: str, target: str, reason: str, rule: str | None
) -> None:
    _, found = _after(here, method, target, token=_token(here)["client_token"])
    (record,) = found
    assert (record["outcome"], record["status_code"]) == ("denied", 403)
    assert record["error_type"] == "urn:coffre:error:forbidden"
    by = {} if rule is None else {"by": [{"policy": "reader", "rule": rule}]}
    assert record["policy"] == {"reason": reason, **by}


def test_what_was_allowed_and_failed_names_the_rule_that_allowed_it(here: Application) -> None:
    auth = _token(here)
    answer, (record,) = _after(here, "GET", "/v1/secret/data/missing", token=auth["client_token"])
    assert (answer.status, record["outcome"]) == (404, "failed")
    assert record["policy"] == {"grant": [{"policy": "reader", "rule": "secret/data/*"}]}


def test_log_003_a_request_without_a_valid_credential_is_recorded_too(here: Application) -> None:
    _, found = _after(here, "GET", "/v1/secret/data/x", token="hvs.wrong")
    (record,) = found
    assert record["actor"] == {"type": "anonymous"}
    assert (record["outcome"], record["error_type"]) == ("denied", "urn:coffre:error:unauthenticated")


def test_log_007_the_trace_of_a_valid_traceparent_is_in_the_record(here: Application) -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    header = {"traceparent": f"00-{trace}-{span}-01"}
    _, found = _after(here, "GET", "/v1/secret/data/x", token="root", headers=header)
    assert (found[0]["trace_id"], found[0]["span_id"]) == (trace, span)


def test_a_read_that_comes_again_says_what_is_said_of_each_answer(here: Application) -> None:
    token = _token(here)["client_token"]

    def said() -> Any:
        _, (record,) = _after(here, "GET", "/v1/secret/data/x", token=token)
        return record["fields"], record["resource"]["version"]

    first = said()
    assert said() == first
    here.request("POST", "/v1/secret/data/x", {"data": {"other": "value"}}, token="root")
    second = said()
    assert (second[0] != first[0], second[1]) == (True, first[1] + 1)
    assert said() == second
    here.request("DELETE", "/v1/secret/data/x", token="root")
    _, (gone,) = _after(here, "GET", "/v1/secret/data/x", token=token)
    assert (gone["status_code"], gone["fields"] not in (first[0], second[0])) == (404, True)
    here.request("POST", "/v1/secret/undelete/x", {"versions": [second[1]]}, token="root")
    assert said() == second
    lines = [line for path in here.history.rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    hashes = [encode_hash(leaf_hash(line)) for line in lines[:-1]]
    assert [json.loads(line)["prev_hash"] for line in lines[1:]] == hashes


def test_a_read_that_comes_again_from_elsewhere_says_from_where(here: Application) -> None:
    token = _token(here)["client_token"]
    for address in ("192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1"):
        here.client = (address, 4711)
        _, (record,) = _after(here, "GET", "/v1/secret/data/x", token=token)
        assert record["client.address"] == address


@pytest.mark.parametrize(
    "value",
    [
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" + "-x" * 200,
        "x",
    ],
)
def test_an_invalid_traceparent_is_left_out(here: Application, value: str) -> None:
    _, found = _after(here, "GET", "/v1/secret/data/x", token="root", headers={"traceparent": value})
    assert not {"trace_id", "span_id"} & {*found[0]}


def test_values_are_hashed_and_what_the_route_declares_clear_stays(here: Application) -> None:
    body = {"policies": ["reader"], "ttl": "1h", "meta": {"who": "hunter2"}, "display_name": "hunter2"}
    _, found = _after(here, "POST", "/v1/auth/token/create", body, token="root")
    sent = found[0]["fields"]["request"]
    assert (sent["policies"], sent["ttl"]) == (["reader"], "1h")
    assert "hunter2" not in json.dumps(found)
    assert sent["display_name"] == {"$h": _hashes(here, "hunter2")}


def test_strings_numbers_and_names_of_a_secret_are_hashed(here: Application) -> None:
    secret = {"hunter2": 4711471147114711, "list": ["hunter3", {"deep": "hunter4"}], "yes": True, "no": None}
    _, wrote = _after(here, "POST", "/v1/secret/data/z", {"data": secret}, token="root")
    _, read = _after(here, "GET", "/v1/secret/data/z", token="root")
    text = json.dumps([wrote, read])
    for value in ("hunter", "4711", "deep", "list", "yes"):
        assert value not in text
    said = wrote[0]["fields"]["request"]["data"]
    name, number = f"$h:{_hashes(here, 'hunter2')}", {"$h": _hashes(here, "4711471147114711")}
    assert said[name] == number
    assert read[0]["fields"]["response"]["data"]["data"][name] == number
    assert said[f"$h:{_hashes(here, 'yes')}"] == {"$t": "boolean"}
    assert said[f"$h:{_hashes(here, 'no')}"] == {"$t": "null"}


def test_log_012_more_than_a_hundred_values_are_counted(here: Application) -> None:
    secret = {f"k{number}": number for number in range(150)}
    _, found = _after(here, "POST", "/v1/secret/data/z", {"data": secret}, token="root")
    assert found[0]["fields"]["request"] == {"$omitted": 150}


def test_log_012_a_record_is_never_longer_than_an_entry_may_be(here: Application) -> None:
    names = [f"p{number:04}" + "x" * 200 for number in range(99)]
    body = {
        "policies": [f"{name}{'y' * 290}" for name in names],
        "meta": {name * 3: name for name in names[:0]},
    }
    here.request("POST", "/v1/auth/token/create", {**body, "no_parent": True}, token="root")
    secret = {("n" * 300) + str(number): "v" for number in range(99)}
    here.request("POST", "/v1/secret/data/z", {"data": secret}, token="root")
    lines = [line for path in here.history.rglob("*.jsonl") for line in path.read_bytes().splitlines()]
    assert max(map(len, lines)) <= 65_535


@pytest.mark.parametrize("letter", ["a", "%22", "%C3%A9"])
def test_log_012_a_long_path_is_told_by_its_digest_and_size(here: Application, letter: str) -> None:
    asked = "/v1/secret/data/" + letter * 9000
    _, found = _after(here, "GET", asked)  # by a stranger
    _, more = _after(here, "GET", asked, token="root")
    path = unquote(asked.removeprefix("/v1/")).encode()
    digest = base64.b64encode(hashlib.sha256(path).digest()).decode()
    assert [one["url.path"] for one in found + more] == [f"$sha256:{digest}:{len(path)}"] * 2
    assert more[0]["resource"]["id"].startswith("$sha256:")


@pytest.mark.parametrize("ask", ["auth/token/lookup/{}", "secret/data/{}/x", "nowhere/{}", "sys/health/{}/"])
def test_log_002_a_credential_in_a_path_is_told_by_its_digest(here: Application, ask: str) -> None:
    said = {"policies": ["default"]}
    service, batch = (
        here.request("POST", "/v1/auth/token/create", {**said, "type": kind}, token="root").json()["auth"][
            "client_token"
        ]
        for kind in ("service", "batch")
    )
    for credential in (service, f"{service}.ns1", batch, f"biscuit:{batch[2:]}"):
        digest = base64.b64encode(hashlib.sha256(credential.encode()).digest()).decode()
        shown = ask.format(f"$sha256:{digest}:{len(credential)}")
        for method in ("GET", "POST", "DELETE", "OPTIONS"):
            for token in ("root", ""):
                _, found = _after(here, method, f"/v1/{ask.format(credential)}", {}, token=token)
                assert {one["url.path"].rstrip("/") for one in found} == {shown.rstrip("/")}
                assert credential not in str(found)
    _, found = _after(here, "GET", "/v1/secret/data/s.txt/b.2/biscuit:/s.abc", token="root")
    assert found[0]["url.path"] == "secret/data/s.txt/b.2/biscuit:/s.abc"


def test_log_012_long_rules_of_many_policies_are_told_by_their_number(here: Application) -> None:
    path = "secret/data/" + "b" * 2300
    assert here.request("POST", f"/v1/{path}", {"data": {}}, token="root").status == 200
    names = [f"p{number}-{'x' * 100}" for number in range(32)]
    for name in names:
        policy = f'path "{path}" {{ capabilities = ["read"] }}'
        here.request("POST", f"/v1/sys/policies/acl/{name}", {"policy": policy}, token="root")
    made = here.request("POST", "/v1/auth/token/create", {"policies": names}, token="root")
    token = made.json()["auth"]["client_token"]
    _, (record,) = _after(here, "GET", f"/v1/{path}", token=token)
    *named, more = record["policy"]["grant"]
    assert len(named) + more["$omitted"] == len(names)
    assert all(one["rule"] == path for one in named)
    assert len(json.dumps(record)) < 40_000


def test_the_answer_of_a_login_names_the_credential_and_shows_no_token(here: Application) -> None:
    answer, found = _after(here, "POST", "/v1/auth/userpass/login/x", {"password": "x"})
    auth = answer.json()["auth"]
    assert found[-1]["event_name"] == "esa.auth.login"
    said = found[-1]["fields"]["response"]["auth"]
    assert (said["accessor"], said["policies"]) == (auth["accessor"], auth["policies"])
    assert auth["client_token"] not in json.dumps(found)


def test_what_happens_while_sealed_is_recorded_without_values(here: Application) -> None:
    here.request("POST", "/v1/sys/seal", token="root")
    _, found = _after(here, "POST", "/v1/sys/unseal", {"key": here.key})
    assert here.key not in json.dumps(found)
    events = [(record["event_name"], record["phase"]) for record in found]
    assert ("esa.seal.opened", "notice") in events
    assert ("esa.seal.unseal", "outcome") in events


def test_records_of_a_namespace_are_of_its_tenant(here: Application) -> None:
    made = here.request("POST", "/v1/sys/namespaces/n", token="root").json()
    _, found = _after(here, "GET", "/v1/n/sys/mounts", token="root")
    assert found[0]["tenant"] == made["data"]["id"]
    assert found[0]["url.path"] == "n/sys/mounts"
    assert found[0]["tenant_seq"] == 0


@pytest.mark.parametrize(
    ("method", "target", "body"),
    [
        ("GET", "/v1/secret/data/x", None),
        ("POST", "/v1/secret/data/y", {"data": {}}),
        ("DELETE", "/v1/secret/data/y", None),
        ("GET", "/v1/secret/data/absent", None),
        ("POST", "/v1/sys/policies/acl/x", {"policy": "?"}),
        ("GET", "/v1/sys/raw/x", None),
    ],
)
def test_an_answer_has_a_receipt_of_its_outcome(
    here: Application, method: str, target: str, body: object
) -> None:
    for _ in range(3):
        answer, found = _after(here, method, target, body, token="root")
        last = found[-1]
        assert answer.headers["log-receipt"] == f'log="{last["log"]}", seq={last["seq"]}'
        assert last["phase"] == "outcome"


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", "/v1/auth/userpass/login/bob", {"password": "correct-horse-battery"}, 200),
        ("POST", "/v1/auth/userpass/login/bob", {"password": "wrong"}, 400),
        ("GET", "/v1/sys/internal/ui/mounts", None, 200),
        ("GET", "/v1/secret/data/x", None, 403),
        ("POST", "/v1/sys/wrapping/lookup", {"token": "wrong"}, 400),
        ("BREW", "/v1/secret/data/x", None, 405),
    ],
)
def test_a_stranger_gets_no_receipt(
    here: Application, method: str, target: str, body: object, status: int
) -> None:
    here.request("POST", "/v1/sys/auth/userpass", {"type": "userpass"}, token="root")
    bob = {"password": "correct-horse-battery"}
    here.request("POST", "/v1/auth/userpass/users/bob", bob, token="root")
    answer, found = _after(here, method, target, body, token="")
    assert answer.status == status and found[-1]["phase"] == "outcome"
    assert "log-receipt" not in answer.headers


def test_what_is_not_recorded_has_no_receipt(here: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "log-receipt" not in here.request("GET", "/v1/sys/health").headers
    assert "log-receipt" not in here.request("GET", "/v1/secret/data/x", token="wrong").headers

    def broken(*_: object) -> int:
        raise OSError(28, "No space left on device")

    for method in ("GET", "POST"):
        with monkeypatch.context() as patched:
            patched.setattr("vault.log.writer.os.write", broken)
            answer = here.request(
                method, "/v1/secret/data/x", {"data": {}} if method == "POST" else None, token="root"
            )
        assert answer.status == 500
        assert "log-receipt" not in answer.headers


def test_log_011_a_change_of_a_policy_names_old_and_new(here: Application) -> None:
    def digest(text: str) -> str:
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"

    first, second = (f'path "a{number}" {{ capabilities = ["read"] }}' for number in range(2))
    _, made = _after(here, "PUT", "/v1/sys/policies/acl/p", {"policy": first}, token="root")
    _, changed = _after(here, "PUT", "/v1/sys/policies/acl/p", {"policy": second}, token="root")
    _, gone = _after(here, "DELETE", "/v1/sys/policies/acl/p", token="root")
    assert made[-1]["fields"]["changed"] == {"new": digest(first)}
    assert changed[-1]["fields"]["changed"] == {"old": digest(first), "new": digest(second)}
    assert gone[-1]["fields"]["changed"] == {"old": digest(second)}


def test_log_012_a_record_names_few_of_many_policies(here: Application) -> None:
    names = [f"p{number:03}" for number in range(100)]
    for name in names:
        here.request("PUT", f"/v1/sys/policies/acl/{name}", {"policy": POLICY}, token="root")
    made = here.request("POST", "/v1/auth/token/create", {"policies": names}, token="root").json()
    token = made["auth"]["client_token"]
    _, found = _after(here, "GET", "/v1/secret/data/x", token=token)
    granted = found[0]["policy"]["grant"]
    assert granted[:32] == [{"policy": name, "rule": "secret/data/*"} for name in names[:32]]
    assert granted[32:] == [{"$omitted": 68}]
    _, refused = _after(here, "DELETE", "/v1/secret/data/x", token=token)
    assert refused[0]["policy"]["by"] == granted


def test_a_mount_may_leave_values_out(here: Application) -> None:
    tuned = here.request(
        "POST", "/v1/sys/mounts/secret/tune", {"options": {"log_values": "omit"}}, token="root"
    )
    assert tuned.status in {200, 204}
    _, wrote = _after(here, "POST", "/v1/secret/data/pin", {"data": {"pin": 4711}}, token="root")
    _, read = _after(here, "GET", "/v1/secret/data/pin", token="root")
    assert wrote[0]["fields"]["request"] == {"$omitted": 1}
    assert "$h" not in json.dumps([wrote, read])
    _, other = _after(here, "POST", "/v1/plain/pin", {"pin": 4711}, token="root")
    assert "$h" in json.dumps(other)


@pytest.mark.parametrize("target", ["/v1/sys/mounts/new", "/v1/sys/auth/new", "/v1/sys/mounts/secret/tune"])
def test_what_a_mount_says_of_values_is_hash_or_omit(here: Application, target: str) -> None:
    kind = "userpass" if "auth" in target else "kv"
    body = {"type": kind, "options": {"log_values": "clear"}}
    answer = here.request("POST", target, body, token="root")
    assert answer.status == 400
    assert "log_values must be hash or omit" in answer.body.decode()


def test_log_031_a_device_that_fails_and_works_again_is_an_event_of_each(here: Application) -> None:
    entry = here.vault.controls.audit._open["file"]
    device = entry.device
    before = len(records(here.history))

    def refuse(*_: object) -> None:
        raise DeviceFailure("audit device: it is full")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(device, "write", refuse)
        for _ in range(3):
            assert here.request("GET", "/v1/secret/data/x", token="root").status == 500
    assert here.request("GET", "/v1/secret/data/x", token="root").status == 200
    here.request("GET", "/v1/sys/health")
    found = [record for record in records(here.history)[before:] if record["phase"] == "notice"]
    assert [(record["event_name"], record["fields"]) for record in found] == [
        ("esa.log.device.failed", {"device": "file"}),
        ("esa.log.device.recovered", {"device": "file"}),
    ]


def test_a_password_is_not_even_hashed(here: Application) -> None:
    """Equal passwords of two people would be seen to be equal."""
    for target, body in (
        ("/v1/auth/userpass/login/x", {"password": "wrong"}),
        ("/v1/sys/unseal", {"key": "00" * 33}),
    ):
        _, found = _after(here, "POST", target, body)
        assert found[-1]["fields"]["request"] == {"$omitted": 1}
        assert "$h" not in json.dumps(found[-1]["fields"]["request"])


def test_what_was_rolled_back_is_superseded_by_what_became_of_it() -> None:
    """Its outcome stands in the log before the commit: where that fails, another one takes its place."""
    full = False

    def fail(name: str) -> None:
        if full and name == "commit":
            raise StorageFailure("the disk is full")

    with Application(MemoryStorage(on_statement=fail)) as here:
        full = True
        answer, found = _after(here, "POST", "/v1/secret/data/lost", {"data": {}}, token="root")
        full = False
    assert answer.status == 500
    outcomes = [record for record in found if record["phase"] == "outcome"]
    assert [record["outcome"] for record in outcomes] == ["success", "failed"]
    assert "supersedes" not in outcomes[0]
    assert outcomes[1]["supersedes"] == outcomes[0]["seq"]
