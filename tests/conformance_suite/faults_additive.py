# SPDX-License-Identifier: EUPL-1.2
"""Faults of what is additive: repeated requests, exact numbers, what is due to go, pages."""

import json
import re
import sys
import threading
from collections.abc import Callable
from dataclasses import replace

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
_KEY = "idempotency-key"


def _replayed(
    server: Behind, request: Sent, name: Callable[[Sent], str], behind: Callable[[Sent], Said]
) -> Said:
    """Give the first answer again, by what `name` says of a request; ask `behind` for a first one."""
    key = name(request)
    with server.lock:
        if key not in server.answers:
            server.answers[key] = behind(request)
        return server.answers[key]


def _keyed(request: Sent) -> bool:
    return _KEY in request.headers and is_data(request, "POST")


@FAULTS.fault("repeated_write_counts_once")
def keys_end_with_the_next_write(server: Behind, request: Sent) -> Said:
    if not is_data(request, "POST"):
        return server.ask(request)
    if _KEY not in request.headers:
        server.memory["written"] = path_of(request)
    elif server.memory.get("written") == path_of(request):
        return server.ask(with_headers(request, **{_KEY: None}))
    return server.ask(request)


@FAULTS.fault("repeated_write_counts_once")
def repeated_writes_are_done_and_answered_as_the_first(server: Behind, request: Sent) -> Said:
    if not _keyed(request):
        return server.ask(request)
    answer = server.ask(request)
    if "Idempotency-Replayed" in {name.title() for name in answer.headers}:
        server.ask(with_headers(request, **{_KEY: None}))
    return answer


@FAULTS.fault("another_body_with_the_key_is_refused")
def keys_count_whatever_the_body(server: Behind, request: Sent) -> Said:
    if not _keyed(request):
        return server.ask(request)
    return _replayed(server, request, lambda one: one.headers[_KEY] + path_of(one), server.ask)


@FAULTS.fault("key_is_of_a_path")
def keys_are_of_no_path(server: Behind, request: Sent) -> Said:
    if not _keyed(request):
        return server.ask(request)
    return _replayed(server, request, lambda one: one.headers[_KEY], server.ask)


@FAULTS.fault("key_is_of_a_credential")
def keys_are_everybodys(server: Behind, request: Sent) -> Said:
    return server.ask_as_root(request) if _keyed(request) else server.ask(request)


@FAULTS.fault("key_is_of_a_credential")
def answers_are_kept_before_rights_are_asked(server: Behind, request: Sent) -> Said:
    if not _keyed(request):
        return server.ask(request)
    token = request.headers.get("x-vault-token", "")
    answer = server.ask(request)
    return server.ask_as_root(request) if answer.status == 403 and token else answer


@FAULTS.fault("repeats_at_once_count_once")
def keys_are_noted_after_the_write(server: Behind, request: Sent) -> Said:
    if not _keyed(request):
        return server.ask(request)
    name = request.headers[_KEY] + path_of(request)
    known = server.answers.get(name)
    if known is not None:
        return known
    threading.Event().wait(0.3)  # never set: all that come at once find no key
    answer = server.ask(with_headers(request, **{_KEY: None}))
    server.answers[name] = answer
    return answer


@FAULTS.fault("no_credential_is_given_again")
def credentials_are_kept_for_replay(server: Behind, request: Sent) -> Said:
    if _KEY not in request.headers or not path_of(request).endswith("/auth/token/create"):
        return server.ask(request)
    return _replayed(server, request, lambda one: one.headers[_KEY], server.ask)


def _as_floats(value: object) -> object:
    """What a reader makes of numbers who knows 64-bit floats alone."""
    if isinstance(value, dict):
        return {name: _as_floats(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_as_floats(one) for one in value]
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = float(value)
        return int(number) if number.is_integer() else number
    return value


def _spoiling(server: Behind, request: Sent, parse_float: Callable[[str], object], *, floats: bool) -> Said:
    """Write what is left of a body after it was read in a wrong way."""
    body = json.loads(request.body, parse_float=parse_float)
    return server.ask(with_body(request, _as_floats(body) if floats else body))


@FAULTS.fault("numbers_are_exact", large_integer_survives="warning", patches_keep_digits="fail")
def integers_pass_through_floats(server: Behind, request: Sent) -> Said:
    if is_data(request, "POST") and b"1" in request.body:
        return _spoiling(server, request, float, floats=True)
    return server.ask(request)


@FAULTS.fault("numbers_are_exact")
def fractions_pass_through_floats(server: Behind, request: Sent) -> Said:
    if is_data(request, "POST") and b"." in request.body:
        return _spoiling(server, request, float, floats=False)
    return server.ask(request)


@FAULTS.fault("numbers_beyond_floats_are_exact_or_refused")
def numbers_that_are_too_large_become_the_largest(server: Behind, request: Sent) -> Said:
    if is_data(request, "POST") and b"e400" in request.body.lower():
        return _spoiling(server, request, lambda text: min(float(text), sys.float_info.max), floats=False)
    return server.ask(request)


@FAULTS.fault("patches_keep_digits")
def patches_read_and_write_floats(server: Behind, request: Sent) -> Said:
    if not is_data(request, "PATCH"):
        return server.ask(request)
    found = body_of(server.ask(replace(request, method="GET", body=b"")))
    data = _as_floats({**found["data"]["data"], **body_of(request)["data"]})
    return server.ask(with_body(replace(request, method="POST"), {"data": data}))


def _leaving(answer: Said, **headers: str) -> Said:
    """The answer of what is due to go, with other headers."""
    if "deprecation" not in {name.lower() for name in answer.headers}:
        return answer
    kept = {name: value for name, value in answer.headers.items() if name.lower() not in headers}
    return replace(answer, headers={**kept, **{name.title(): value for name, value in headers.items()}})


@FAULTS.fault("deprecation_is_dated")
def routes_go_after_a_month(server: Behind, request: Sent) -> Said:
    said = {"deprecation": "@1795996800", "sunset": "Thu, 31 Dec 2026 00:00:00 GMT"}
    return _leaving(server.ask(request), **said)


@FAULTS.fault("deprecation_is_dated")
def deprecation_is_said_by_a_word(server: Behind, request: Sent) -> Said:
    return _leaving(server.ask(request), deprecation="true")


@FAULTS.fault("what_stays_is_not_announced")
def everything_is_due_to_go(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return replace(answer, headers={**answer.headers, "Deprecation": "@1795996800"})


def _linked(answer: Said, link: Callable[[str], str]) -> Said:
    """The answer with another page named as the next one."""
    found = {name: value for name, value in answer.headers.items() if name.lower() == "link"}
    return replace(answer, headers={**answer.headers, **{name: link(value) for name, value in found.items()}})


@FAULTS.fault("named_pages_have_each_key_once")
def pages_are_named_by_a_number(server: Behind, request: Sent) -> Said:
    query = query_of(request)
    if request.method != "LIST" or "limit" not in query:
        return server.ask(request)
    every = server.ask(with_target(request, path_of(request), {}))
    begin, limit = int(query.get("page", 0)), int(query["limit"])
    keys = body_of(every)["data"]["keys"]
    named = (
        {"Link": f'<?page={begin + limit}&limit={limit}>; rel="next"'} if begin + limit < len(keys) else {}
    )
    found = replace(every, headers={**every.headers, **named})
    return saying(found, {"data": {"keys": keys[begin : begin + limit]}})


@FAULTS.fault("named_pages_have_each_key_once")
def the_last_page_names_itself(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    cursor = query_of(request).get("cursor", "")
    return (
        _linked(answer, lambda value: re.sub("cursor=[^&>]*", f"cursor={cursor}", value))
        if cursor
        else answer
    )
