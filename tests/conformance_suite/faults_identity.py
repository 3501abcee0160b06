# SPDX-License-Identifier: EUPL-1.2
"""Faults of policies, credentials, wrapped answers and namespaces."""

import json
from collections.abc import Mapping
from dataclasses import replace
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
    with_headers,
    with_target,
)
from tests.conformance_suite.stub import Said, Sent

FAULTS = Faults()
_POLICIES = "/sys/policies/acl/"


def _rules(request: Sent) -> dict[str, Any] | None:
    """By path what a policy that is written grants; None for every other request."""
    body = body_of(request)
    if request.method != "POST" or _POLICIES not in path_of(request) or not isinstance(body, dict):
        return None
    try:
        found: dict[str, Any] = json.loads(body["policy"])["path"]
    except (ValueError, KeyError):
        return None
    return found


def _with_rules(request: Sent, rules: Mapping[str, Any]) -> Sent:
    return with_body(request, {"policy": json.dumps({"path": rules})})


def _changed(request: Sent, path: str, **members: object) -> Sent:
    """A request to a path with other members in its body; None removes one."""
    body = body_of(request)
    if path_of(request).endswith(path) and isinstance(body, dict):
        made = {**body, **members}
        return with_body(request, {name: one for name, one in made.items() if one is not None})
    return request


@FAULTS.fault(
    "nothing_is_granted_by_itself",
    "reading_grants_reading_alone",
    "specific_refusal_wins",
    "siblings_are_not_reached",
)
def policies_count_for_nothing(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return server.ask_as_root(request) if answer.status == 403 else answer


@FAULTS.fault("reading_grants_reading_alone")
def reading_gives_metadata(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if answer.status == 403 and request.method == "GET" and "/metadata/" in path_of(request):
        return server.ask_as_root(request)
    return answer


@FAULTS.fault("specific_refusal_wins", "refused_folder_is_not_listed")
def refusals_in_policies_are_dropped(server: Behind, request: Sent) -> Said:
    rules = _rules(request)
    if rules is None:
        return server.ask(request)
    return server.ask(_with_rules(request, {k: v for k, v in rules.items() if v["capabilities"] != ["deny"]}))


@FAULTS.fault("refused_folder_is_not_listed")
def refused_folder_is_listed_without_its_slash(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if request.method == "LIST" and answer.status == 403 and not path_of(request).endswith("/"):
        return server.ask_as_root(request)
    return answer


@FAULTS.fault("siblings_are_not_reached")
def prefix_reaches_siblings(server: Behind, request: Sent) -> Said:
    rules = _rules(request)
    if rules is None:
        return server.ask(request)
    return server.ask(
        _with_rules(request, {path.replace("/app/*", "/app*"): one for path, one in rules.items()})
    )


@FAULTS.fault("changed_policy_counts_at_once")
def changed_policy_does_not_count(server: Behind, request: Sent) -> Said:
    if (
        _rules(request) is not None
        and server.memory.setdefault(path_of(request), request.body) != request.body
    ):
        return done()
    return server.ask(request)


@FAULTS.fault("removed_policy_grants_nothing")
def removed_policy_stays(server: Behind, request: Sent) -> Said:
    if request.method == "DELETE" and _POLICIES in path_of(request) and path_of(request) not in server.memory:
        server.memory[path_of(request)] = True  # the cleanup's own request is done
        return done()
    return server.ask(request)


@FAULTS.fault("told_rights_are_enforced")
def every_right_is_told(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if path_of(request).endswith("/capabilities-self"):
        rights = ["create", "delete", "read", "update"]
        return saying(answer, {"data": dict.fromkeys(body_of(request)["paths"], rights)})
    return answer


@FAULTS.fault("unknown_policy_is_refused")
def policy_that_is_not_understood_is_accepted(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return done() if _POLICIES in path_of(request) and answer.status == 400 else answer


@FAULTS.fault("made_credential_has_no_more_rights")
def everybody_gives_every_right(server: Behind, request: Sent) -> Said:
    return (
        server.ask_as_root(request)
        if path_of(request).endswith("/auth/token/create")
        else server.ask(request)
    )


@FAULTS.fault("credential_is_revoked_by_its_name", "accessor_is_no_credential")
def whom_others_revoke_leaves_heirs(server: Behind, request: Sent) -> Said:
    path = path_of(request)
    if path.endswith("/auth/token/revoke"):
        return server.ask_as_root(with_target(request, f"{path}-orphan"))
    if path.endswith("/revoke-accessor"):
        token = server.memory.get(body_of(request)["accessor"])
        orphaning = with_target(request, path.replace("revoke-accessor", "revoke-orphan"))
        return server.ask_as_root(with_body(orphaning, {"token": token})) if token else server.ask(request)
    answer = server.ask(request)
    made = (body_of(answer) or {}).get("auth") if path.endswith("/auth/token/create") else None
    if made:
        server.memory[made["accessor"]] = made["client_token"]
    return answer


@FAULTS.fault("revocation_reaches_what_was_made")
def what_was_made_lives_on(server: Behind, request: Sent) -> Said:
    if path_of(request).endswith("/revoke-self"):
        orphaning = with_target(request, path_of(request).replace("revoke-self", "revoke-orphan"))
        return server.ask_as_root(with_body(orphaning, {"token": request.headers["x-vault-token"]}))
    return server.ask(request)


@FAULTS.fault("revocation_reaches_what_was_made")
def revocation_takes_a_while(server: Behind, request: Sent) -> Said:
    if path_of(request).endswith("/revoke-self"):
        return done()
    return server.ask(request)


@FAULTS.fault("ended_credential_is_refused")
def credentials_live_longer(server: Behind, request: Sent) -> Said:
    body = body_of(request)
    if isinstance(body, dict) and body.get("ttl") == "2s":
        return server.ask(with_body(request, {**body, "ttl": "20s"}))
    return server.ask(request)


@FAULTS.fault("uses_are_counted")
def one_use_more_is_accepted(server: Behind, request: Sent) -> Said:
    body = body_of(request)
    if isinstance(body, dict) and "num_uses" in body:
        return server.ask(with_body(request, {**body, "num_uses": body["num_uses"] + 1}))
    return server.ask(request)


@FAULTS.fault("renewal_keeps_the_maximum")
def renewal_passes_the_maximum(server: Behind, request: Sent) -> Said:
    return server.ask(_changed(request, "/auth/token/create", explicit_max_ttl=None))


@FAULTS.fault("renewal_keeps_the_maximum")
def renewal_tells_what_was_asked_for(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if path_of(request).endswith("/renew-self") and answer.status == 200:
        body["auth"]["lease_duration"] = 3600
        return saying(answer, body)
    return answer


@FAULTS.fault("accessor_is_no_credential")
def accessor_is_a_credential(server: Behind, request: Sent) -> Said:
    token = server.memory.get(request.headers.get("x-vault-token", ""))
    answer = server.ask(with_headers(request, **{"x-vault-token": token}) if token else request)
    body = body_of(answer)
    if isinstance(body, dict) and body.get("auth"):
        server.memory[body["auth"]["accessor"]] = body["auth"]["client_token"]
    return answer


@FAULTS.fault("unknown_name_and_wrong_secret_are_alike")
def unknown_names_are_told(server: Behind, request: Sent) -> Said:
    return refusing(404) if path_of(request).endswith("/login/unknown") else server.ask(request)


@FAULTS.fault("unknown_name_and_wrong_secret_take_as_long")
def unknown_names_are_refused_sooner(server: Behind, request: Sent) -> Said:
    if "/login/unknown" in path_of(request) and "wrong" in server.answers:
        return server.answers["wrong"]
    answer = server.ask(request)
    if "/login/known" in path_of(request) and answer.status >= 400:
        server.answers["wrong"] = answer
    return answer


@FAULTS.fault("secret_id_logs_in_once")
def secret_id_logs_in_twice(server: Behind, request: Sent) -> Said:
    return server.ask(_changed(request, "/role/for-1", secret_id_num_uses=2))


@FAULTS.fault("given_credential_is_described")
def rights_are_not_told(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if isinstance(body, dict) and body.get("auth"):
        return saying(answer, {**body, "auth": {**body["auth"], "policies": []}})
    return answer


@FAULTS.fault("wrapped_answer_is_given_once", "one_of_many_gets_a_wrapped_answer")
def wrapped_answer_is_given_again(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if path_of(request).endswith("/wrapping/unwrap"):
        with server.lock:
            token = request.headers["x-vault-token"]
            if answer.status == 200:
                server.answers[token] = answer
            while token not in server.answers:
                server.lock.release()
                server.lock.acquire()
            return server.answers[token]
    return answer


@FAULTS.fault("wrapped_answer_is_given_once")
def looking_up_uses_it_up(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if path_of(request).endswith("/wrapping/lookup"):
        server.ask(with_target(request, path_of(request).replace("lookup", "unwrap")))
    return answer


@FAULTS.fault("credential_counts_in_its_namespace")
def accessors_are_known_everywhere(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if isinstance(body, dict) and body.get("auth"):
        server.memory[body["auth"]["accessor"]] = request.headers.get("x-vault-namespace", "")
    if path_of(request).endswith("/lookup-accessor") and answer.status >= 400:
        namespace = server.memory.get(body_of(request)["accessor"])
        if namespace is not None:
            return server.ask(with_headers(request, **{"x-vault-namespace": namespace}))
    return answer


@FAULTS.fault("credential_counts_in_its_namespace")
def rights_count_in_every_namespace(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if answer.status == 403 and request.method == "GET" and path_of(request).endswith("/acl/all"):
        return server.ask_as_root(replace(request))
    return answer


@FAULTS.fault("secrets_stay_in_their_namespace")
def tenants_read_what_is_above_them(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    above = "x-vault-namespace" not in request.headers and "/data/secret" in path_of(request)
    return server.ask_as_root(request) if above and answer.status == 403 else answer


@FAULTS.fault("secrets_stay_in_their_namespace")
def all_namespaces_are_listed(server: Behind, request: Sent) -> Said:
    if request.method == "LIST" and path_of(request).endswith("/sys/namespaces"):
        return server.ask_as_root(with_headers(request, **{"x-vault-namespace": None}))
    return server.ask(request)
