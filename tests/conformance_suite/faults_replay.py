# SPDX-License-Identifier: EUPL-1.2
"""Faults of credentials that have done what they were for."""

from tests.conformance_suite.mutants import Behind, Faults, body_of, done, is_data, path_of
from tests.conformance_suite.stub import Said, Sent

FAULTS = Faults()
_TOKEN = "x-vault-token"


@FAULTS.fault("revoked_credential_opens_nothing")
def reads_go_on_after_revocation(server: Behind, request: Sent) -> Said:
    """What a credential has read once it reads for ever."""
    answer = server.ask(request)
    if not is_data(request, "GET"):
        return answer
    key = f"{request.headers.get(_TOKEN)} {request.target}"
    if answer.status == 200:
        server.answers[key] = answer
    return server.answers.get(key, answer) if answer.status == 403 else answer


@FAULTS.fault("used_up_credential_opens_nothing")
def credentials_without_uses_still_write(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    token = request.headers.get(_TOKEN, "")
    if answer.status < 300:
        server.memory[token] = True
    writes = is_data(request, "POST") and answer.status == 403 and token in server.memory
    return server.ask_as_root(request) if writes else answer


@FAULTS.fault("wrapping_credential_opens_nothing_else")
def wrapping_credentials_read(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    wrapped = body_of(answer).get("wrap_info") if isinstance(body_of(answer), dict) else None
    if wrapped:
        server.memory[wrapped["token"]] = True
    own = request.headers.get(_TOKEN) in server.memory
    return server.ask_as_root(request) if own and is_data(request, "GET") else answer


@FAULTS.fault("unwrapped_credential_is_revoked_as_others")
def credentials_that_were_wrapped_stay(server: Behind, request: Sent) -> Said:
    if path_of(request).endswith("/revoke-self") and server.memory.get("taken") == request.headers.get(
        _TOKEN
    ):
        return done()
    answer = server.ask(request)
    if path_of(request).endswith("/wrapping/unwrap") and answer.status == 200:
        server.memory["taken"] = ((body_of(answer) or {}).get("auth") or {}).get("client_token")
    return answer


@FAULTS.fault("unwrapped_credential_is_revoked_as_others")
def wrapped_credentials_are_given_again(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not path_of(request).endswith("/wrapping/unwrap"):
        return answer
    if answer.status == 200:
        server.answers["given"] = answer
    return server.answers.get("given", answer)


@FAULTS.fault("credential_is_revoked_by_its_name")
def only_their_own_credentials_are_revoked(server: Behind, request: Sent) -> Said:
    return done() if path_of(request).endswith("/auth/token/revoke") else server.ask(request)
