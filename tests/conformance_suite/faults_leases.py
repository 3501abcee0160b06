# SPDX-License-Identifier: EUPL-1.2
"""Faults of secrets with a lease."""

from typing import Any

from tests.conformance_suite.mutants import (
    Behind,
    Faults,
    body_of,
    done,
    path_of,
    refusing,
    saying,
    with_body,
    with_target,
)
from tests.conformance_suite.stub import Said, Sent

FAULTS = Faults()
_TELLS, _ENDS, _WITH, _TWICE, _BELOW, _RENEWS, _FIRST = (
    "leased_secret_tells_its_lease",
    "leased_secret_ends_when_it_was_told",
    "lease_ends_with_its_credential",
    "revoking_a_lease_twice_succeeds",
    "prefix_reaches_what_is_below_and_nothing_beside",
    "renewal_of_a_lease_passes_no_end",
    "what_ended_meanwhile_ends_first",
)


def _given(request: Sent, answer: Said) -> dict[str, Any] | None:
    """An answer that gives a leased secret; None for every other."""
    body = body_of(answer)
    return body if "/creds/" in path_of(request) and isinstance(body, dict) and body.get("lease_id") else None


@FAULTS.fault(_TELLS)
def lease_has_its_secret_in_its_id(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    given = _given(request, answer)
    return (
        saying(answer, {**given, "lease_id": f"{given['lease_id']}.{given['data']['key']}"})
        if given
        else answer
    )


@FAULTS.fault(_TELLS)
def lease_is_of_no_length(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    given = _given(request, answer)
    return saying(answer, {**given, "lease_duration": 0}) if given else answer


@FAULTS.fault(_TELLS)
def lease_does_not_say_whether_it_is_renewed(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    given = _given(request, answer)
    return (
        saying(answer, {name: one for name, one in given.items() if name != "renewable"}) if given else answer
    )


@FAULTS.fault(_TELLS)
def leases_are_not_listed(server: Behind, request: Sent) -> Said:
    return (
        refusing(404) if request.method == "LIST" and "/leases/" in path_of(request) else server.ask(request)
    )


@FAULTS.fault(_TELLS)
def looking_up_a_lease_gives_its_secret(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if given := _given(request, answer):
        server.memory["key"] = given["data"]["key"]
    if path_of(request).endswith("/leases/lookup") and answer.status == 200:
        body = body_of(answer)
        return saying(answer, {**body, "data": {**body["data"], "key": server.memory.get("key")}})
    return answer


@FAULTS.fault(_ENDS, _FIRST)
def leases_live_longer(server: Behind, request: Sent) -> Said:
    body = body_of(request)
    if isinstance(body, dict) and isinstance(body.get("config"), dict) and "/sys/mounts/" in path_of(request):
        server.memory[path_of(request).rpartition("/")[2]] = body["config"].get("default_lease_ttl")
        return server.ask(
            with_body(request, {**body, "config": {**body["config"], "default_lease_ttl": "60s"}})
        )
    answer = server.ask(request)
    if (given := _given(request, answer)) and server.memory.get(path_of(request).split("/")[2]) == "2s":
        return saying(answer, {**given, "lease_duration": 2})
    if path_of(request).endswith("/leases/lookup") and answer.status == 200:
        return refusing(400)
    return answer


@FAULTS.fault(_ENDS, _WITH, _TWICE, _BELOW)
def target_is_not_told_of_the_end(server: Behind, request: Sent) -> Said:
    """Each secret is accepted once, whatever came of its lease."""
    answer = server.ask(request)
    given = _given(request, answer)
    if given:
        server.memory[given["data"]["key"]] = True
    if path_of(request).endswith("/verify") and server.memory.pop(body_of(request)["otp"], False):
        return done({"data": {}})
    return answer


@FAULTS.fault(_WITH)
def lease_outlives_its_credential(server: Behind, request: Sent) -> Said:
    return server.ask_as_root(request) if "/creds/" in path_of(request) else server.ask(request)


@FAULTS.fault(_TWICE)
def second_revocation_is_refused(server: Behind, request: Sent) -> Said:
    if not path_of(request).endswith("/leases/revoke"):
        return server.ask(request)
    lease = body_of(request)["lease_id"]
    if server.memory.setdefault(lease, 0):
        return refusing(400)
    server.memory[lease] += 1
    return server.ask(request)


@FAULTS.fault(_TWICE)
def one_revocation_ends_all_of_a_role(server: Behind, request: Sent) -> Said:
    path = path_of(request)
    if path.endswith("/leases/revoke"):
        role = body_of(request)["lease_id"].rpartition("/")[0]
        return server.ask(with_target(request, f"{path}-prefix/{role}"))
    return server.ask(request)


@FAULTS.fault(_BELOW)
def prefix_ends_one_lease_alone(server: Behind, request: Sent) -> Said:
    answer = server.ask(request) if "/revoke-prefix/" not in path_of(request) else done()
    if given := _given(request, answer):
        server.memory["lease"] = given["lease_id"]
    if "/revoke-prefix/" in path_of(request):
        target = path_of(request).partition("-prefix/")[0]
        server.ask(
            with_body(with_target(request, target), {"lease_id": server.memory["lease"], "sync": True})
        )
    return answer


@FAULTS.fault(_BELOW)
def prefix_reaches_leases_beside(server: Behind, request: Sent) -> Said:
    path = path_of(request)
    if "/revoke-prefix/" in path:
        server.ask(with_target(request, f"{path}-more"))
    return server.ask(request)


@FAULTS.fault(_RENEWS)
def renewal_passes_the_end_of_a_lease(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if path_of(request).endswith("/leases/renew"):
        return done({"lease_id": body_of(request)["lease_id"], "lease_duration": 3600, "renewable": False})
    return answer


@FAULTS.fault(_RENEWS)
def lease_that_can_be_renewed_is_not(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    given = _given(request, answer)
    return saying(answer, {**given, "renewable": True}) if given else answer


@FAULTS.fault(_RENEWS)
def refused_renewal_moves_the_end(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if path_of(request).endswith("/leases/renew"):
        server.memory["renewed"] = body_of(request)["lease_id"]
    if path_of(request).endswith("/leases/lookup") and answer.status == 200:
        body = body_of(answer)
        if server.memory.get("renewed") == body["data"]["id"]:
            return saying(answer, {**body, "data": {**body["data"], "expire_time": "2999-01-01T00:00:00Z"}})
    return answer
