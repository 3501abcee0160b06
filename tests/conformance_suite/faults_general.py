# SPDX-License-Identifier: EUPL-1.2
"""Faults of every answer, and of refusals."""

from dataclasses import replace

from tests.conformance_suite.mutants import (
    Behind,
    Faults,
    body_of,
    done,
    is_data,
    path_of,
    refusing,
    saying,
    with_body,
    with_headers,
    with_target,
)
from tests.conformance_suite.stub import Said, Sent

FAULTS = Faults()


def _without(answer: Said, header: str) -> Said:
    return replace(answer, headers={k: v for k, v in answer.headers.items() if k.lower() != header})


@FAULTS.fault("health_tells_state")
def health_does_not_tell_whether_sealed(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if path_of(request).endswith("/sys/health") and isinstance(body, dict):
        body.pop("sealed", None)
        return saying(answer, body)
    return answer


@FAULTS.fault("seal_is_told_as_in_health")
def seal_is_always_told_to_be_closed(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if path_of(request).endswith("/sys/seal-status"):
        return saying(answer, {**body_of(answer), "sealed": True})
    return answer


@FAULTS.fault("health_tells_no_tenant")
def health_tells_what_was_written(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if is_data(request, "POST"):
        server.memory["last"] = path_of(request)
    if path_of(request).endswith("/sys/health"):
        return saying(answer, {**body_of(answer), "last": server.memory.get("last", "")})
    return answer


@FAULTS.fault("answers_are_not_stored", "credentials_are_not_stored")
def answers_may_be_stored(server: Behind, request: Sent) -> Said:
    return _without(server.ask(request), "cache-control")


@FAULTS.fault("answers_are_not_stored")
def errors_may_be_stored(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return _without(answer, "cache-control") if answer.status >= 400 else answer


@FAULTS.fault("json_is_called_json")
def errors_are_called_text(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if answer.status >= 400:
        return replace(
            _without(answer, "content-type"), headers={**answer.headers, "Content-Type": "text/plain"}
        )
    return answer


@FAULTS.fault("discovery_is_told")
def discovery_tells_no_features(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if "/.well-known/european" in path_of(request) and isinstance(body, dict):
        body.pop("features", None)
        return saying(answer, body)
    return answer


@FAULTS.fault("unknown_members_change_nothing")
def unknown_member_drops_the_options(server: Behind, request: Sent) -> Said:
    body = body_of(request)
    if is_data(request, "POST") and isinstance(body, dict) and body.keys() - {"data", "options"}:
        return server.ask(with_body(request, {"data": body["data"]}))
    return server.ask(request)


@FAULTS.fault("trace_headers_change_nothing")
def malformed_trace_is_refused(server: Behind, request: Sent) -> Said:
    if request.headers.get("traceparent", "00-0af").count("-") == 0:
        return refusing(400)
    return server.ask(request)


@FAULTS.fault("security_contact_is_served")
def security_contact_is_past_its_end(server: Behind, request: Sent) -> Said:
    if path_of(request).endswith("/security.txt"):
        return replace(
            done(), status=200, body=b"Contact: mailto:a@example.org\nExpires: 2020-01-01T00:00:00Z\n"
        )
    return server.ask(request)


@FAULTS.fault("sealed_server_gives_nothing")
def sealed_is_an_error_of_its_own(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return replace(answer, status=500) if answer.status == 503 and is_data(request) else answer


@FAULTS.fault("credentials_fail_alike")
def missing_credential_is_told_from_a_wrong_one(server: Behind, request: Sent) -> Said:
    if (
        is_data(request)
        and not request.headers.get("x-vault-token")
        and "authorization" not in request.headers
    ):
        return refusing(403, "missing client token")
    return server.ask(request)


@FAULTS.fault("ended_credentials_fail_alike")
def revoked_credential_is_told_from_an_unknown_one(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    token = request.headers.get("x-vault-token", "")
    if answer.status < 300:
        server.memory[token] = True
    elif answer.status == 403 and token in server.memory and path_of(request).endswith("lookup-self"):
        return refusing(403, "revoked")
    return answer


@FAULTS.fault("existence_is_not_told")
def what_is_not_there_is_told_to_everybody(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if is_data(request, "GET") and answer.status == 403:
        return refusing(404) if server.ask_as_root(request).status == 404 else answer
    return answer


@FAULTS.fault("broken_bodies_change_nothing")
def what_stands_behind_a_body_is_ignored(server: Behind, request: Sent) -> Said:
    if is_data(request, "POST") and request.body.endswith(b"}}}"):
        return server.ask(replace(request, body=request.body[:-1]))
    return server.ask(request)


@FAULTS.fault("broken_bodies_change_nothing")
def broken_body_is_the_servers_fault(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return replace(answer, status=500) if answer.status == 400 and body_of(request) is None else answer


@FAULTS.fault("unknown_methods_are_refused")
def unknown_method_is_not_there(server: Behind, request: Sent) -> Said:
    return refusing(404) if request.method == "BREW" else server.ask(request)


@FAULTS.fault("problems_are_told_as_problems")
def problem_has_another_status(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if "problem" in request.headers.get("accept", "") and answer.status == 403:
        return replace(answer, status=401)
    return answer


@FAULTS.fault("problems_are_registered")
def problems_have_types_of_their_own(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if answer.status == 400 and isinstance(body, dict) and "type" in body:
        return saying(answer, {**body, "type": "urn:example:problem:oops"})
    return answer


@FAULTS.fault("problems_are_registered")
def problems_have_the_type_of_another(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if answer.status == 404 and isinstance(body, dict) and "type" in body:
        return saying(answer, {**body, "type": "urn:example:problem:sealed"})
    return answer


@FAULTS.fault("who_waits_gets_on", limits_say_when="warning")
def limit_does_not_say_when(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return _without(answer, "retry-after") if answer.status == 429 else answer


@FAULTS.fault("odd_paths_open_nothing", "odd_paths_meet_the_same_policy")
def odd_paths_are_judged_before_they_are_made_canonical(server: Behind, request: Sent) -> Said:
    path = path_of(request)
    odd = "//" in path or "/../" in path or "/./" in path
    if not (odd and request.method == "GET"):
        return server.ask(request)
    found = server.ask_as_root(request)
    to = found.headers.get("Location") or found.headers.get("location", "")
    return server.ask_as_root(with_target(request, to)) if to else found


@FAULTS.fault(
    errors_of_secrets_repeat_nothing="warning",
    errors_of_administration_repeat_nothing="warning",
    errors_are_redacted="fail",
)
def errors_repeat_what_was_sent(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return (
        refusing(answer.status, request.body.decode("utf-8", "replace"))
        if 400 <= answer.status < 500
        else answer
    )


@FAULTS.fault("bearer_is_accepted")
def bearer_is_ignored(server: Behind, request: Sent) -> Said:
    return server.ask(with_headers(request, authorization=None))


@FAULTS.fault("credential_in_url_is_none")
def credential_in_the_url_counts(server: Behind, request: Sent) -> Said:
    token = request.target.partition("?access_token=")[2]
    if token:
        return server.ask(
            with_headers(with_target(request, path_of(request), {}), **{"x-vault-token": token})
        )
    return server.ask(request)
