# SPDX-License-Identifier: EUPL-1.2
"""LOG-003: what is refused has one record, however early it is refused; and what has none, has none on purpose."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from tests.routes.driver import Answer, Application
from tests.routes.test_again import Client
from vault.framework.call import Call
from vault.framework.errors import Reason
from vault.log.record import LARGEST
from vault.log.writer import LogFailure
from vault.mount.router import Router
from vault.server.config.settings import Listener, ListenerTelemetry

CANARY = "canary-5f1d"
LONGEST = 16 << 10
"""Bytes of the longest record of a refusal: a path takes most of it, twice."""
INLINE = "x-vault-inline-auth-path"
BROWSERS = {"enabled": True, "allowed_origins": ["https://a.example"]}


class Refused(NamedTuple):
    """A request, and what its record says."""

    method: str
    path: str
    status: int
    error: str
    headers: Mapping[str, str] = {}
    body: bytes | None = None
    token: str = "root"
    reason: Reason | None = None
    event: str = "esa.kv.read"
    shown: str = ""
    """The path in the record, where it is not the one that was asked for."""
    actor: str = "root"

    @property
    def denied(self) -> bool:
        return self.error in {"forbidden", "unauthenticated"}


BEFORE = {
    "a verb that does not exist": Refused("TRACE", "secret/data/x", 405, "unsupported-operation"),
    "one that is for browsers": Refused("OPTIONS", "secret/data/x", 400, "malformed"),
    "one that status does not take": Refused(
        "POST", "sys/health", 405, "unsupported-operation", body=b"{}", event="esa.sys.write"
    ),
    "a character that does not print": Refused("GET", "secret/data/%00", 400, "malformed"),
    "a broken percent sign": Refused("GET", "secret/data/%zz", 400, "malformed"),
    "a path that goes up": Refused("GET", "secret/data/%2e%2e/x", 400, "malformed"),
    "a path that is no text": Refused("GET", "secret/data/%ff", 400, "malformed"),
    "a write to a folder": Refused(
        "POST", "secret/data/x/", 400, "malformed", body=b"{}", event="esa.kv.write"
    ),
    "a folder of no mount": Refused(
        "POST", "nowhere/", 400, "malformed", body=b"{}", event="esa.request.write"
    ),
    "a path that is too long for a record": Refused(
        "TRACE", "secret/" + "a" * 20_000, 405, "unsupported-operation", shown="$sha256:"
    ),
    "the longest path that stands in a record": Refused(
        "TRACE", "secret/" + "a" * 6100, 405, "unsupported-operation"
    ),
    "an unclear query": Refused("GET", f"secret/data/x?list={CANARY}", 400, "malformed"),
    "an unclear wrapping": Refused(
        "GET", "secret/data/x", 400, "malformed", headers={"x-vault-wrap-ttl": CANARY}
    ),
    "an unclear index": Refused("GET", "secret/data/x", 400, "malformed", headers={"x-vault-index": CANARY}),
    "another media type": Refused(
        "PATCH",
        "secret/data/x",
        415,
        "unsupported-media",
        headers={"content-type": CANARY},
        event="esa.kv.patch",
    ),
    "status of a namespace": Refused(
        "GET",
        "sys/metrics",
        400,
        "malformed",
        headers={"x-vault-namespace": "team"},
        shown="team/sys/metrics",
        event="esa.request.read",
    ),
    "a long body": Refused(
        "POST", "secret/data/x", 413, "too-large", body=b"x" * (33 << 20), event="esa.kv.write"
    ),
    "a stranger's long body": Refused(
        "POST",
        "secret/data/x",
        413,
        "too-large",
        body=b"x" * (2 << 20),
        token="",
        event="esa.kv.write",
        actor="anonymous",
    ),
    "a login beside a token": Refused(
        "GET", "secret/data/x", 400, "malformed", headers={INLINE: "auth/userpass/login/x"}
    ),
    "a login that is none": Refused(
        "GET",
        "secret/data/x",
        400,
        "malformed",
        headers={INLINE: "auth/userpass/login/x", "x-vault-inline-auth-operation": CANARY},
        token="",
        actor="anonymous",
    ),
    "an unknown credential": Refused(
        "TRACE", "secret/data/x", 405, "unsupported-operation", token=CANARY, actor="anonymous"
    ),
    "a page of another origin": Refused(
        "GET",
        "secret/data/x",
        403,
        "forbidden",
        headers={"origin": f"https://{CANARY}.example"},
        reason=Reason.ORIGIN,
    ),
    "a browser's question": Refused(
        "OPTIONS",
        "secret/data/x",
        405,
        "unsupported-operation",
        headers={"origin": "https://a.example", "access-control-request-method": CANARY},
    ),
    "too many requests": Refused(
        "GET", f"plain/x?{CANARY}=1", 429, "limited", reason=Reason.TOO_MANY, shown="plain/x"
    ),
}
"""What is refused before anybody is asked who calls. Audit devices have none of it."""
AFTER = {
    "nobody": Refused(
        "GET", "secret/data/x", 403, "unauthenticated", token="", reason=Reason.NO_TOKEN, actor="anonymous"
    ),
    "an unfit body": Refused("POST", "secret/data/x", 400, "malformed", body=b"{", event="esa.kv.write"),
    "no mount": Refused("GET", "nowhere/x", 404, "not-found", event="esa.request.read"),
    "no route": Refused("GET", "sys/nothing", 404, "unsupported-path", event="esa.sys.read"),
    "a verb that the route does not take": Refused(
        "DELETE", "sys/mounts", 405, "unsupported-operation", event="esa.sys.delete"
    ),
    "no namespace": Refused(
        "GET",
        "secret/data/x",
        404,
        "not-found",
        headers={"x-vault-namespace": "none"},
        shown="none/secret/data/x",
        event="esa.request.read",
    ),
}
"""What the pipeline refuses."""
SEALED = {
    "a read": Refused("GET", f"secret/data/x?{CANARY}=1", 503, "sealed", shown="secret/data/x"),
    "a write": Refused("POST", "secret/data/x", 503, "sealed", body=CANARY.encode()),
    "metrics": Refused("GET", "sys/metrics", 503, "sealed"),
    "a browser's verb": Refused("OPTIONS", "secret/data/x", 503, "sealed"),
    "a verb that does not exist": Refused("TRACE", "secret/data/x", 405, "unsupported-operation"),
    "a verb that opening does not take": Refused("GET", "sys/unseal", 405, "unsupported-operation"),
    "a path that goes up": Refused("GET", "secret/data/%2e%2e/x", 400, "malformed"),
    "a share that is none": Refused("PUT", "sys/unseal", 400, "malformed", body=b"{"),
}


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with Application() as application:
        application.request("GET", "/v1/secret/data/x", token="root")  # it is known from now on
        application.request("PUT", "/v1/sys/config/cors", BROWSERS, token="root")
        limit = {"rate": 1, "path": "plain/"}
        application.request("POST", "/v1/sys/quotas/rate-limit/x", limit, token="root")
        yield application


@pytest.fixture(scope="module")
def closed() -> Iterator[Application]:
    with Application() as application:
        assert application.request("PUT", "/v1/sys/seal", token="root").status == 204
        yield application


def ask(application: Application, refused: Refused) -> Answer:
    return application.request(
        refused.method,
        f"/v1/{refused.path}",
        refused.body,
        token=refused.token,
        headers=refused.headers,
    )


def outcome(application: Application, seen: int) -> Any:
    """The one outcome that came into the log since it had so many records."""
    records = application.logged()[seen:]
    (only,) = [record for record in records if record["phase"] == "outcome"]
    assert [record["seq"] for record in records] == list(range(seen, seen + len(records)))
    return only


def check(record: Any, refused: Refused, answer: Answer) -> None:
    """See that a record says what was refused, and nothing that was sent but its path."""
    assert answer.status == refused.status, answer.body
    assert record["status_code"] == refused.status
    assert record["outcome"] == ("denied" if refused.denied else "failed")
    assert record["error_type"] == f"urn:coffre:error:{refused.error}"
    assert record.get("policy", {}).get("reason") == refused.reason
    assert record["http.request.method"] == refused.method
    shown = refused.shown or refused.path.partition("?")[0]
    assert record["url.path"].startswith(shown) and len(record["url.path"]) < LONGEST
    assert record["client.address"] == "127.0.0.1"
    assert CANARY not in str(record)
    assert len(str(record)) < LARGEST


@pytest.mark.parametrize("what", BEFORE)
def test_log_003_a_refusal_before_anybody_is_asked_has_a_record_in_the_log_alone(
    application: Application, what: str
) -> None:
    refused = BEFORE[what]
    if refused.error == "limited":
        application.request("GET", "/v1/plain/x", token="root")
    application.records()
    seen = len(application.logged())
    answer = ask(application, refused)
    record = outcome(application, seen)
    check(record, refused, answer)
    assert (record["event_name"], record["actor"]["type"]) == (refused.event, refused.actor)
    assert "fields" not in record
    assert len(str(record)) < LONGEST
    assert application.records() == []
    assert ("log-receipt" in answer.headers) is (refused.actor == "root" and "origin" not in refused.headers)


@pytest.mark.parametrize("what", AFTER)
def test_log_003_what_the_pipeline_refuses_has_one_outcome(application: Application, what: str) -> None:
    refused = AFTER[what]
    seen = len(application.logged())
    answer = ask(application, refused)
    record = outcome(application, seen)
    check(record, refused, answer)
    assert (record["event_name"], record["actor"]["type"]) == (refused.event, refused.actor)


@pytest.mark.parametrize("what", SEALED)
def test_log_003_a_refusal_while_sealed_has_a_record_without_values(closed: Application, what: str) -> None:
    refused = SEALED[what]
    seen = len(closed.logged())
    answer = ask(closed, refused)
    record = outcome(closed, seen)
    check(record, refused, answer)
    assert record["actor"] == {"type": "anonymous"}
    assert "fields" not in record and "log-receipt" not in answer.headers


def test_a_refused_login_and_the_request_that_it_was_for_have_a_record_each(application: Application) -> None:
    seen = len(application.logged())
    headers = {INLINE: "auth/userpass/login/nobody"}
    assert application.request("GET", "/v1/secret/data/x", headers=headers).status == 400
    login, request = [record for record in application.logged()[seen:] if record["phase"] == "outcome"]
    assert (login["url.path"], request["url.path"]) == ("auth/userpass/login/nobody", "secret/data/x")
    assert login["request.id"] != request["request.id"]


@pytest.mark.parametrize("sealed", [False, True])
def test_probes_redirects_and_pages_leave_no_record(
    application: Application, closed: Application, *, sealed: bool
) -> None:
    asked = closed if sealed else application
    seen = len(asked.logged())
    for method, target, status in (
        ("GET", "/v1/sys/health", 503 if sealed else 200),
        ("HEAD", "/v1/sys/health", 503 if sealed else 200),
        ("GET", "/v1/sys/health?list=maybe", 400),
        ("GET", "/v1/sys/seal-status", 200),
        ("GET", "/v1/sys/leader", 200),
        ("GET", "/v1/sys/init", 200),
        ("GET", "/v1/secret//x", 307),
        ("GET", "/nothing", 404),
        ("GET", "/robots.txt", 404),
    ):
        assert asked.request(method, target).status == status, target
    assert asked.logged()[seen:] == []


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /v1/secret/data/x HTTP/1.1\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"GET /v1/secret/data/x HTTP/1.1\r\nhost: x\r\nx: " + b"a" * (1 << 17) + b"\r\n\r\n",
    ],
)
def test_what_never_becomes_a_request_leaves_no_record(application: Application, sent: bytes) -> None:
    seen = len(application.logged())
    client = Client(application)
    client.pass_on(sent)
    assert client.written.startswith(b"HTTP/1.1 4")
    assert application.logged()[seen:] == []


def test_a_body_that_breaks_off_is_recorded_where_somebody_is_answered(application: Application) -> None:
    head = b"POST /v1/secret/data/x HTTP/1.1\r\nhost: x\r\nx-vault-token: root\r\n"
    seen = len(application.logged())
    client = Client(application)
    client.pass_on(head + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n{\r\n", b"zz\r\n")
    assert client.written.startswith(b"HTTP/1.1 400 ")
    record = outcome(application, seen)
    assert (record["url.path"], record["status_code"]) == ("secret/data/x", 400)
    gone = Client(application)
    gone.pass_on(head + b"content-length: 9\r\n\r\n{")

    async def leave() -> None:
        gone.reader.connection_lost(None)
        await gone.answered()

    application.run(leave())
    assert outcome(application, seen) == record


@pytest.mark.parametrize(
    ("settings", "target", "status", "error"),
    [
        (
            {"x_forwarded_for_authorized_addrs": ("10.0.0.0/8",), "x_forwarded_for_reject_not_present": True},
            "secret/data/x",
            400,
            "malformed",
        ),
        ({"telemetry": ListenerTelemetry(metrics_only=True)}, "secret/data/x", 404, "not-found"),
        ({"telemetry": ListenerTelemetry(disallow_metrics=True)}, "sys/metrics", 403, "forbidden"),
    ],
)
def test_what_a_listener_refuses_is_recorded(
    application: Application, settings: dict[str, Any], target: str, status: int, error: str
) -> None:
    listener = Listener(kind="tcp", address="127.0.0.1:1", tls_disable=True, **settings)
    seen = len(application.logged())
    head = f"GET /v1/{target} HTTP/1.1\r\nhost: x\r\nx-vault-token: root\r\n\r\n"
    client = Client(application, listener)
    client.pass_on(head.encode())
    record = outcome(application, seen)
    assert client.written.startswith(b"HTTP/1.1 %d " % status) and record["status_code"] == status
    assert (record["url.path"], record["error_type"]) == (target, f"urn:coffre:error:{error}")


def test_a_refusal_that_the_log_does_not_take_is_a_refusal_all_the_same(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    common = application.vault.controls.audit.common
    assert common is not None
    writer = common.writer

    def refuse(line: bytes, now: float) -> None:
        del line, now
        writer.chain.take_back()
        raise LogFailure("the disk is full")

    seen = len(application.logged())
    with monkeypatch.context() as patched:
        patched.setattr(writer, "write", refuse)
        answer = application.request("TRACE", "/v1/secret/data/x", token="root")
    assert answer.status == 405 and "log-receipt" not in answer.headers
    assert application.logged()[seen:] == []
    application.request("TRACE", "/v1/secret/data/x", token="root")
    records = application.logged()[seen:]  # and those that say what became of the log
    assert [record["seq"] for record in records] == list(range(seen, seen + len(records)))
    assert sum(record.get("status_code") == 405 for record in records) == 1


def test_a_defect_in_the_recording_keeps_no_refusal_from_going_out(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Router, call: Call) -> None:
        raise RuntimeError

    monkeypatch.setattr(Router, "lead", fail)
    assert application.request("TRACE", "/v1/secret/data/x", token="root").status == 405
    assert "a refusal could not be recorded" in application.log.getvalue()
