# SPDX-License-Identifier: EUPL-1.2
"""Faults of cryptography as a service."""

import base64
from collections.abc import Mapping
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


def _does(request: Sent, verb: str) -> bool:
    """Whether something is done with a key of a mount of the run."""
    return f"/{verb}/" in path_of(request) and "/v1/esa-" in path_of(request)


def _sent(request: Sent) -> Mapping[str, Any]:
    found = body_of(request)
    return found if isinstance(found, dict) else {}


def _data(answer: Said) -> dict[str, Any]:
    found = (body_of(answer) or {}).get("data")
    return found if isinstance(found, dict) else {}


def _saying_data(answer: Said, **members: object) -> Said:
    return saying(answer, {**(body_of(answer) or {}), "data": {**_data(answer), **members}})


def _beside(request: Sent, verb: str) -> Sent:
    """The request for another verb of the same key."""
    before, _, key = path_of(request).rpartition("/")
    return with_target(request, f"{before.rpartition('/')[0]}/{verb}/{key}")


@FAULTS.fault("decryption_gives_what_was_encrypted")
def zeros_at_the_end_are_lost(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not _does(request, "decrypt") or not _data(answer).get("plaintext"):
        return answer
    plain = base64.b64decode(_data(answer)["plaintext"]).rstrip(b"\0")
    return _saying_data(answer, plaintext=base64.b64encode(plain).decode())


@FAULTS.fault("decryption_gives_what_was_encrypted")
def ciphertexts_name_no_version(server: Behind, request: Sent) -> Said:
    if _does(request, "decrypt") and "ciphertext" in _sent(request):
        text = str(_sent(request)["ciphertext"])
        if not text.startswith("vault:v"):
            request = with_body(request, {**_sent(request), "ciphertext": f"vault:v1:{text}"})
    answer = server.ask(request)
    if not _does(request, "encrypt") or "ciphertext" not in _data(answer):
        return answer
    return _saying_data(answer, ciphertext=_data(answer)["ciphertext"].rpartition(":")[2])


@FAULTS.fault("equal_data_have_different_ciphertexts")
def every_key_is_convergent(server: Behind, request: Sent) -> Said:
    if not _does(request, "encrypt"):
        return server.ask(request)
    key = f"{path_of(request)} {sorted(_sent(request).items())}"
    return server.answers.setdefault(key, server.ask(request))


@FAULTS.fault("altered_ciphertext_is_refused")
def the_last_byte_is_not_looked_at(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    text = str(_sent(request).get("ciphertext", ""))
    start = f"{path_of(request).rpartition('/')[2]} {text[:40]}"
    if _does(request, "encrypt") and "ciphertext" in _data(answer):
        made = _data(answer)["ciphertext"]
        server.memory[f"{path_of(request).rpartition('/')[2]} {made[:40]}"] = _sent(request)["plaintext"]
    if _does(request, "decrypt") and answer.status == 400 and start in server.memory:
        return done({"data": {"plaintext": server.memory[start]}})
    return answer


@FAULTS.fault("altered_ciphertext_is_refused")
def the_version_is_found_by_trying(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not _does(request, "decrypt") or answer.status != 400 or "ciphertext" not in _sent(request):
        return answer
    newer = str(_sent(request)["ciphertext"]).replace("v1:", "v2:", 1)
    return server.ask(with_body(request, {**_sent(request), "ciphertext": newer}))


@FAULTS.fault("ciphertext_of_another_key_is_refused")
def keys_of_a_mount_are_one(server: Behind, request: Sent) -> Said:
    if not path_of(request).endswith("/decrypt/other"):
        return server.ask(request)
    return server.ask(with_target(request, path_of(request).replace("/decrypt/other", "/decrypt/one")))


@FAULTS.fault("other_associated_data_are_refused")
def associated_data_are_not_bound(server: Behind, request: Sent) -> Said:
    body = {name: value for name, value in _sent(request).items() if name != "associated_data"}
    bound = _does(request, "encrypt") or _does(request, "decrypt")
    return server.ask(with_body(request, body) if bound and _sent(request) else request)


@FAULTS.fault("rotated_key_opens_what_it_closed", "ciphertext_is_renewed_by_who_may_not_read")
def rotation_does_nothing(server: Behind, request: Sent) -> Said:
    return done() if path_of(request).endswith("/rotate") else server.ask(request)


@FAULTS.fault("rotated_key_opens_what_it_closed")
def versions_are_not_withdrawn(server: Behind, request: Sent) -> Said:
    withdraws = path_of(request).endswith("/config") and "min_decryption_version" in _sent(request)
    return done() if withdraws else server.ask(request)


@FAULTS.fault("ciphertext_is_renewed_by_who_may_not_read")
def renewal_shows_the_data(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not _does(request, "rewrap") or answer.status != 200:
        return answer
    plain = _data(server.ask_as_root(_beside(request, "decrypt"))).get("plaintext")
    return _saying_data(answer, plaintext=plain)


@FAULTS.fault("ciphertext_is_renewed_by_who_may_not_read")
def renewal_asks_for_the_right_to_decrypt(server: Behind, request: Sent) -> Said:
    denied = _does(request, "rewrap") and server.ask(_beside(request, "decrypt")).status == 403
    return refusing(403, "permission denied") if denied else server.ask(request)


@FAULTS.fault("key_stays_in_the_server")
def every_key_leaves(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not _does(request, "export") or answer.status == 200:
        return answer
    return done({"data": {"name": "one", "keys": {"1": base64.b64encode(bytes(32)).decode()}}})


@FAULTS.fault("key_stays_in_the_server")
def leaving_is_not_shown(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    shown = _does(request, "keys") and request.method == "GET" and "exportable" in _data(answer)
    return _saying_data(answer, exportable=False) if shown else answer


@FAULTS.fault("contexts_are_not_mixed_up")
def all_contexts_are_one(server: Behind, request: Sent) -> Said:
    if "context" not in _sent(request):
        return server.ask(request)
    return server.ask(with_body(request, {**_sent(request), "context": "AAAA"}))


@FAULTS.fault("contexts_are_not_mixed_up")
def a_context_may_be_left_out(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not _does(request, "encrypt") or "context" in _sent(request) or answer.status != 400:
        return answer
    return server.ask(with_body(request, {**_sent(request), "context": "AAAA"}))


@FAULTS.fault("signature_is_of_its_data_and_key", "code_is_of_its_data_and_key")
def everything_is_valid(server: Behind, request: Sent) -> Said:
    return done({"data": {"valid": True}}) if _does(request, "verify") else server.ask(request)


@FAULTS.fault("signature_is_of_its_data_and_key", "code_is_of_its_data_and_key")
def nothing_is_valid(server: Behind, request: Sent) -> Said:
    return done({"data": {"valid": False}}) if _does(request, "verify") else server.ask(request)


@FAULTS.fault("signature_is_verified_elsewhere")
def the_public_key_is_of_another_version(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not _does(request, "keys") or request.method != "GET" or "keys" not in _data(answer):
        return answer
    server.ask_as_root(with_target(with_body(_as_post(request), {}), f"{path_of(request)}/rotate"))
    newer = _data(server.ask(request))["keys"]
    return _saying_data(answer, keys={"1": newer.get("2")})


def _as_post(request: Sent) -> Sent:
    return Sent("POST", request.target, {**request.headers, "content-type": "application/json"}, b"{}")


@FAULTS.fault("each_use_of_a_key_is_a_right_of_its_own")
def who_encrypts_decrypts(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return server.ask_as_root(request) if _does(request, "decrypt") and answer.status == 403 else answer


@FAULTS.fault("refused_request_makes_no_key")
def keys_are_made_before_it_is_asked_who_may(server: Behind, request: Sent) -> Said:
    if path_of(request).endswith("/encrypt/none"):
        server.ask_as_root(request)
        return refusing(403, "permission denied")
    return server.ask(request)


@FAULTS.fault("each_of_many_has_its_own_outcome")
def one_bad_ciphertext_refuses_all(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    items = _data(answer).get("batch_results", [])
    return refusing(400, "refused") if any(one.get("error") for one in items) else answer


@FAULTS.fault("each_of_many_has_its_own_outcome")
def outcomes_come_in_another_order(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    items = _data(answer).get("batch_results")
    return _saying_data(answer, batch_results=items[::-1]) if items else answer


@FAULTS.fault("removal_of_a_key_takes_two_steps")
def keys_are_removed_at_once(server: Behind, request: Sent) -> Said:
    if _does(request, "keys") and request.method == "DELETE":
        allowed = with_body(_as_post(request), {"deletion_allowed": True})
        server.ask_as_root(with_target(allowed, f"{path_of(request)}/config"))
    return server.ask(request)


@FAULTS.fault("removal_of_a_key_takes_two_steps")
def removed_keys_are_there(server: Behind, request: Sent) -> Said:
    removes = _does(request, "keys") and request.method == "DELETE"
    answer = server.ask(with_target(request, f"{path_of(request)}-none") if removes else request)
    return done() if removes and answer.status >= 400 else answer


@FAULTS.fault("rotated_key_opens_what_it_closed")
def withdrawn_versions_are_renewed(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not _does(request, "rewrap") or answer.status != 400:
        return answer
    config = with_target(request, f"{path_of(_beside(request, 'keys'))}/config")
    server.ask_as_root(with_body(config, {"min_decryption_version": 1}))
    return server.ask(request)


@FAULTS.fault("ciphertext_is_renewed_by_who_may_not_read")
def renewal_tells_the_data_as_text(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not _does(request, "rewrap") or answer.status != 200:
        return answer
    plain = _data(server.ask_as_root(_beside(request, "decrypt"))).get("plaintext", "")
    return _saying_data(answer, note=base64.b64decode(plain).decode())


@FAULTS.fault("private_key_stays_in_the_server")
def private_keys_leave(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not _does(request, "signing-key") or answer.status == 200:
        return answer
    return done({"data": {"name": "kept", "keys": {"1": "-----BEGIN EC PRIVATE KEY-----"}}})


@FAULTS.fault("private_key_stays_in_the_server")
def a_description_has_the_private_key(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    shown = _does(request, "keys") and request.method == "GET" and answer.status == 200
    return _saying_data(answer, private_key="-----BEGIN PRIVATE KEY-----") if shown else answer


@FAULTS.fault("code_is_of_its_data_and_key")
def the_beginning_of_a_code_is_enough(server: Behind, request: Sent) -> Said:
    if not _does(request, "verify") or "hmac" not in _sent(request):
        return server.ask(request)
    made = _data(server.ask(_beside(with_body(request, {"input": _sent(request)["input"]}), "hmac"))).get(
        "hmac", ""
    )
    whole, given = (base64.b64decode(text.rpartition(":")[2]) for text in (made, _sent(request)["hmac"]))
    return done({"data": {"valid": whole.startswith(given)}})


@FAULTS.fault("signature_is_verified_elsewhere")
def the_public_key_is_always_the_first(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    keys = _data(answer).get("keys")
    shown = _does(request, "keys") and request.method == "GET" and isinstance(keys, dict)
    return _saying_data(answer, keys=dict.fromkeys(keys, keys.get("1"))) if shown and keys else answer


@FAULTS.fault("no_right_brings_another")
def who_decrypts_may_everything(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    verb = next((verb for verb in ("encrypt", "hmac") if _does(request, verb)), "")
    if not verb or answer.status != 403:
        return answer
    may = server.ask(with_body(_beside(request, "decrypt"), {"ciphertext": "vault:v1:AAAA"})).status != 403
    return server.ask_as_root(request) if may else answer


@FAULTS.fault("each_of_many_is_encrypted_in_its_place")
def ciphertexts_come_in_another_order(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    items = _data(answer).get("batch_results")
    return _saying_data(answer, batch_results=items[::-1]) if items and _does(request, "encrypt") else answer


@FAULTS.fault("removal_of_a_key_takes_two_steps")
def removed_keys_authenticate(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if _does(request, "hmac") and answer.status in {400, 404}:
        return done({"data": {"hmac": f"vault:v1:{base64.b64encode(bytes(32)).decode()}"}})
    return answer


@FAULTS.fault("named_algorithms_are_there")
def there_is_no_ecdsa(server: Behind, request: Sent) -> Said:
    makes = _does(request, "keys") and _sent(request).get("type") == "ecdsa-p256"
    return refusing(400, "unknown key type") if makes else server.ask(request)
