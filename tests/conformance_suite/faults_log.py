# SPDX-License-Identifier: EUPL-1.2
"""Faults of the log that is read."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.conformance_suite.mutants import (
    Behind,
    Faults,
    body_of,
    is_data,
    path_of,
    query_of,
    saying,
    with_body,
    with_headers,
    with_target,
)
from tests.conformance_suite.stub import Said, Sent

FAULTS = Faults()


def _lists_records(request: Sent, answer: Said) -> bool:
    body = body_of(answer)
    return path_of(request).endswith("/sys/log/records") and isinstance(body, dict) and bool(body.get("data"))


@FAULTS.fault("no_scalar_is_in_clear")
def records_have_what_was_written(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if is_data(request, "POST"):
        server.memory["written"] = body_of(request)
    if _lists_records(request, answer):
        body = body_of(answer)
        for record in body["data"]["records"]:
            record["fields"] = server.memory.get("written")
        return saying(answer, body)
    return answer


@FAULTS.fault("trace_is_recorded")
def records_have_no_trace(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return replace(answer, body=answer.body.replace(b'"trace_id"', b'"x_trace"'))


@FAULTS.fault("numbers_have_no_gap", "following_gives_each_record_once")
def a_record_is_left_out(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if _lists_records(request, answer) and "log" in query_of(request):
        body = body_of(answer)
        del body["data"]["records"][2:3]
        return saying(answer, body)
    return answer


@FAULTS.fault("following_gives_each_record_once")
def pages_overlap(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if (
        _lists_records(request, answer)
        and query_of(request).get("limit") == "5"
        and "log" in query_of(request)
    ):
        body = body_of(answer)
        body["data"]["next"] = max(body["data"]["next"] - 1, int(query_of(request)["after"]) + 1)
        return saying(answer, body)
    return answer


@FAULTS.fault("search_tells_how_far_it_is")
def search_does_not_tell_how_far_it_is(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return replace(answer, body=answer.body.replace(b'"indexed_through"', b'"indexed"'))


@FAULTS.fault("unknown_filter_is_refused")
def unknown_filter_is_ignored(server: Behind, request: Sent) -> Said:
    query = {name: value for name, value in query_of(request).items() if name != "x-unknown"}
    return server.ask(with_target(request, path_of(request), query))


@FAULTS.fault("stream_has_an_end")
def stream_ends_with_its_last_record(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    lines = answer.body.splitlines(keepends=True)
    return replace(answer, body=b"".join(lines[:-1])) if b'"$page"' in answer.body else answer


@FAULTS.fault("stream_has_an_end")
def lines_come_to_who_does_not_want_them(server: Behind, request: Sent) -> Said:
    if "x-ndjson" in request.headers.get("accept", ""):
        return server.ask(with_headers(request, accept="application/x-ndjson"))
    return server.ask(request)


@FAULTS.fault("reading_is_recorded")
def reading_leaves_no_record(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if _lists_records(request, answer):
        body = body_of(answer)
        kept = [one for one in body["data"]["records"] if one.get("resource", {}).get("type") != "log"]
        body["data"]["records"] = kept
        return saying(answer, body)
    return answer


@FAULTS.fault("record_is_proven")
def proof_is_of_another_record(server: Behind, request: Sent) -> Said:
    path, _, rest = path_of(request).rpartition("/")
    if rest == "proof":
        before, _, number = path.rpartition("/")
        return server.ask(with_target(request, f"{before}/{int(number) - 1}/proof"))
    return server.ask(request)


def _changed(server: Behind, request: Sent, change: Callable[[dict[str, Any]], None]) -> Said:
    """The answer; each record in it changed."""
    answer = server.ask(request)
    if not _lists_records(request, answer):
        return answer
    body = body_of(answer)
    for record in body["data"]["records"]:
        change(record)
    return saying(answer, body)


@FAULTS.fault("times_do_not_go_back", "numbers_have_no_gap")
def times_of_appending_go_back(server: Behind, request: Sent) -> Said:
    def earlier(record: dict[str, Any]) -> None:
        record["observed_timestamp"] = f"2026-11-28T09:00:00.{999_999_999 - record['seq']:09}Z"

    return _changed(server, request, earlier)


@FAULTS.fault("life_of_the_server_is_recorded")
def sealing_leaves_no_record(server: Behind, request: Sent) -> Said:
    def hidden(record: dict[str, Any]) -> None:
        if record["event_name"] in {"esa.seal.seal", "esa.seal.closed"}:
            record["event_name"] = "esa.sys.write"

    return _changed(server, request, hidden)


@FAULTS.fault("changed_rights_are_events")
def changes_do_not_say_what_was_there(server: Behind, request: Sent) -> Said:
    return _changed(
        server, request, lambda record: record.get("fields", {}).get("changed", {}).pop("old", None)
    )


@FAULTS.fault("changed_rights_are_events")
def changes_of_rights_are_requests_as_others(server: Behind, request: Sent) -> Said:
    return _changed(server, request, lambda record: record.update(phase="notice"))


@FAULTS.fault("large_request_has_a_whole_record")
def long_records_are_cut(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    one = "/sys/log/records/" in path_of(request) and answer.body.startswith(b"{")
    return (
        replace(answer, body=answer.body.replace(b"$omitted", b"$cut").replace(b"$size", b"$cut"))
        if one
        else answer
    )


@FAULTS.fault("large_request_has_a_whole_record")
def records_do_not_fit(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    one = "/sys/log/records/" in path_of(request) and answer.body.startswith(b"{")
    return replace(answer, body=b'{"more":"' + b"x" * 66_000 + b'",' + answer.body[1:]) if one else answer


@FAULTS.fault("tenant_sees_nothing_of_another")
def tenants_read_the_whole_log(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if is_policy(request):
        server.memory.setdefault("policies", []).append(path_of(request))
    if _lists_records(request, answer) and request.headers.get("x-vault-namespace"):
        body = body_of(answer)
        body["data"]["records"] += [{"url.path": path} for path in server.memory.get("policies", ())]
        return saying(answer, body)
    return answer


@FAULTS.fault("tenant_sees_nothing_of_another")
def tenants_read_each_record_by_its_number(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    by_number = "/sys/log/records/" in path_of(request) and not path_of(request).endswith("/proof")
    return replace(answer, status=200) if by_number and request.headers.get("x-vault-namespace") else answer


@FAULTS.fault("search_by_body_finds_the_same")
def filters_in_the_body_are_ignored(server: Behind, request: Sent) -> Said:
    if path_of(request).endswith("/records/search"):
        return server.ask(with_body(request, {"limit": 5}))
    return server.ask(request)


@FAULTS.fault("records_are_of_the_schema_that_is_told")
def records_lack_what_the_schema_needs(server: Behind, request: Sent) -> Said:
    return _changed(server, request, lambda record: record.pop("tenant", None))


@FAULTS.fault("segments_follow_each_other")
def a_segment_begins_too_late(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if "/sys/log/segments/" in path_of(request) and answer.status == 200:
        for one in body["data"]["segments"]:
            one["first"] += 1_000_000
        return saying(answer, body)
    return answer


@FAULTS.fault("segments_follow_each_other")
def a_segment_is_not_listed(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if "/sys/log/segments/" in path_of(request) and answer.status == 200:
        (only,) = body["data"]["segments"]
        body["data"]["segments"] = [{**only, "closed": True, "first": 0, "last": 2}, {**only, "first": 4}]
        return saying(answer, body)
    return answer


def is_policy(request: Sent) -> bool:
    """Whether a policy is written."""
    return "/sys/policies/acl/" in path_of(request) and request.method == "POST"


@FAULTS.fault(receipt_names_the_record="warning")
def strangers_get_receipts(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return replace(answer, headers={"Log-Receipt": 'log="0-0-1", seq=1', **answer.headers})


@FAULTS.fault("receipt_names_the_record")
def receipts_name_the_record_before(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    name = next((name for name in answer.headers if name.lower() == "log-receipt"), "")
    if not name:
        return answer
    begin, _, seq = answer.headers[name].rpartition("=")
    return replace(answer, headers={**answer.headers, name: f"{begin}={int(seq) - 1}"})
