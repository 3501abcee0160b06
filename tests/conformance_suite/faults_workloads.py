# SPDX-License-Identifier: EUPL-1.2
"""Faults of log-ins by what a platform says of its workloads."""

import base64
import json
from collections.abc import Callable
from typing import Any

from tests.conformance_suite.mutants import Behind, Fault, Faults, body_of, path_of, refusing, saying
from tests.conformance_suite.stub import Said, Sent

FAULTS = Faults()
_LOGS_IN, _OTHERS = "workload_logs_in_by_an_assertion", "other_assertions_give_no_credential"


def _assertion(request: Sent) -> str:
    """The assertion in a log-in; empty for every other request."""
    body = body_of(request)
    return str(body.get("jwt", "")) if isinstance(body, dict) and path_of(request).endswith("/login") else ""


def _part(text: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))))


@FAULTS.fault(_LOGS_IN)
def no_assertion_is_good(server: Behind, request: Sent) -> Said:
    return refusing(400) if _assertion(request) else server.ask(request)


@FAULTS.fault(_LOGS_IN)
def workloads_have_every_right(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if _assertion(request) and answer.status == 200:
        server.memory[body_of(answer)["auth"]["client_token"]] = True
    return server.ask_as_root(request) if request.headers.get("x-vault-token") in server.memory else answer


@FAULTS.fault(_LOGS_IN)
def credentials_of_workloads_have_no_end(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if _assertion(request) and answer.status == 200:
        return saying(answer, {**body, "auth": {**body["auth"], "lease_duration": 0}})
    return answer


def _accepting(name: str, is_such: Callable[[dict[str, Any], dict[str, Any]], bool]) -> Fault:
    """A server that gives a credential for assertions of one kind which it should refuse, by head and claims."""

    def behave(server: Behind, request: Sent) -> Said:
        answer, assertion = server.ask(request), _assertion(request)
        if assertion and answer.status == 200:
            server.answers["good"] = answer
        elif assertion and is_such(*map(_part, assertion.split(".")[:2])):
            return server.answers["good"]
        return answer

    return Fault(name, {_OTHERS: "fail"}, behave)


def _is_usual(head: dict[str, Any], claims: dict[str, Any]) -> bool:
    """Whether nothing but the signature can be what is wrong."""
    known = claims["sub"] == "workload-1" and claims["iss"] == "https://platform.example"
    known = known and claims["exp"] - claims["nbf"] != 600
    return known and claims["aud"] == "vault.example" and head["alg"] == "RS256" and "name" not in claims


for _fault in (
    _accepting("any_workload_is_taken", lambda _, claims: claims["sub"] == "workload-2"),
    _accepting("any_issuer_is_taken", lambda _, claims: claims["iss"] == "https://elsewhere.example"),
    _accepting("any_audience_is_taken", lambda _, claims: claims["aud"] == "elsewhere.example"),
    _accepting("ended_assertions_are_taken", lambda _, claims: claims["exp"] - claims["nbf"] == 600),
    _accepting("any_key_is_taken", _is_usual),
    _accepting("altered_claims_are_taken", lambda _, claims: "name" in claims),
    _accepting("public_keys_are_taken_for_secrets", lambda head, _: head["alg"] == "HS256"),
    _accepting("assertions_need_no_signature", lambda head, _: head["alg"] == "none"),
):
    FAULTS.add(_fault)
