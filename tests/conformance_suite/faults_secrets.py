# SPDX-License-Identifier: EUPL-1.2
"""Faults of secrets: their versions, their paths, their lists."""

import hashlib
from dataclasses import replace
from typing import Any

from tests.conformance_suite.mutants import (
    Behind,
    Faults,
    body_of,
    done,
    is_data,
    path_of,
    query_of,
    refusing,
    saying,
    with_body,
    with_headers,
    with_target,
)
from tests.conformance_suite.stub import Said, Sent

FAULTS = Faults()


def _value(answer: Said) -> Any:
    body = body_of(answer)
    data = body.get("data") if isinstance(body, dict) else None
    return data.get("data") if isinstance(data, dict) else None


@FAULTS.fault("value_comes_back")
def nulls_are_left_out(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    value = _value(answer)
    if is_data(request, "GET") and isinstance(value, dict):
        body = body_of(answer)
        body["data"]["data"] = {name: one for name, one in value.items() if one is not None}
        return saying(answer, body)
    return answer


@FAULTS.fault("value_is_replaced_whole")
def writes_are_merged(server: Behind, request: Sent) -> Said:
    body = body_of(request)
    if is_data(request, "POST") and isinstance(body, dict) and isinstance(body.get("data"), dict):
        old = _value(server.ask_as_root(replace(request, method="GET", body=b"")))
        return server.ask(with_body(request, {**body, "data": {**(old or {}), **body["data"]}}))
    return server.ask(request)


@FAULTS.fault("stale_check_changes_nothing", "valid_check_is_accepted", "one_winner")
def checks_are_ignored(server: Behind, request: Sent) -> Said:
    body = body_of(request)
    if is_data(request, "POST") and isinstance(body, dict) and "options" in body:
        return server.ask(with_body(request, {"data": body.get("data")}))
    return server.ask(request)


@FAULTS.fault("stale_check_changes_nothing")
def refused_check_writes_all_the_same(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(request)
    if is_data(request, "POST") and answer.status == 400 and isinstance(body, dict) and "options" in body:
        server.ask(with_body(request, {"data": body["data"]}))
    return answer


@FAULTS.fault("valid_check_is_accepted")
def check_of_what_is_not_there_is_ignored(server: Behind, request: Sent) -> Said:
    body = body_of(request)
    if is_data(request, "POST") and isinstance(body, dict) and "options" in body:
        if server.ask_as_root(replace(request, method="GET", body=b"")).status == 404:
            return server.ask(with_body(request, {"data": body["data"]}))
    return server.ask(request)


@FAULTS.fault("one_winner")
def two_writers_win(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    with server.lock:
        if is_data(request, "POST") and answer.status == 400 and path_of(request) not in server.memory:
            server.memory[path_of(request)] = True
            return done({"data": {"version": 1}})
    return answer


@FAULTS.fault("each_writer_has_a_version", "versions_count_up")
def version_is_told_twice(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if is_data(request, "POST") and answer.status == 200 and body["data"]["version"] == 3:
        body["data"]["version"] = 2
        return saying(answer, body)
    return answer


@FAULTS.fault("versions_count_up")
def earlier_versions_cannot_be_read(server: Behind, request: Sent) -> Said:
    return (
        server.ask(with_target(request, path_of(request), {}))
        if is_data(request, "GET")
        else server.ask(request)
    )


@FAULTS.fault("large_value_is_kept")
def large_values_are_refused(server: Behind, request: Sent) -> Said:
    return refusing(413) if is_data(request, "POST") and len(request.body) > 60_000 else server.ask(request)


@FAULTS.fault("refused_size_changes_nothing")
def what_is_too_large_is_cut_and_kept(server: Behind, request: Sent) -> Said:
    if is_data(request, "POST") and len(request.body) > 32 << 20:
        server.ask(with_body(request, {"data": {"text": "cut"}}))
        return refusing(413)
    return server.ask(request)


@FAULTS.fault("deletion_hides_and_comes_back", "deletion_without_number_is_of_the_newest")
def deleted_versions_are_still_read(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    key = f"{path_of(request)} {query_of(request).get('version', '')}"
    if is_data(request, "GET"):
        if answer.status == 200:
            server.answers[key] = answer
        elif key in server.answers:
            return server.answers[key]
    if is_data(request, "POST") and answer.status == 200:
        version = body_of(answer)["data"]["version"]
        for each in ("", str(version)):
            server.answers[f"{path_of(request)} {each}"] = saying(
                done({}), {"data": {"data": body_of(request)["data"], "metadata": {"version": version}}}
            )
    return answer


@FAULTS.fault("deletion_hides_and_comes_back", "deletion_without_number_is_of_the_newest")
def deletion_is_not_taken_back(server: Behind, request: Sent) -> Said:
    return done() if "/undelete/" in path_of(request) else server.ask(request)


@FAULTS.fault("destroyed_stays_destroyed")
def destruction_is_deletion(server: Behind, request: Sent) -> Said:
    return server.ask(with_target(request, path_of(request).replace("/destroy/", "/delete/")))


@FAULTS.fault("deleting_nothing_succeeds")
def deleting_nothing_is_refused(server: Behind, request: Sent) -> Said:
    if is_data(request, "DELETE"):
        if server.ask_as_root(replace(request, method="GET", body=b"")).status == 404:
            return refusing(404)
    return server.ask(request)


@FAULTS.fault("times_go_forward")
def times_have_no_zone(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return replace(answer, body=answer.body.replace(b'Z","custom_metadata', b'","custom_metadata'))


@FAULTS.fault("times_go_forward")
def times_go_back(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if is_data(request, "GET") and answer.status == 200:
        version = body["data"]["metadata"]["version"]
        body["data"]["metadata"]["created_time"] = f"20{40 - version}-01-01T00:00:00Z"
        return saying(answer, body)
    return answer


@FAULTS.fault("list_shows_direct_children")
def list_shows_grandchildren(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if request.method == "LIST" and answer.status == 200 and "b/" in body["data"]["keys"]:
        body["data"]["keys"].append("b/c")
        return saying(answer, body)
    return answer


@FAULTS.fault("list_shows_direct_children")
def folders_have_no_slash(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if request.method == "LIST" and answer.status == 200:
        body["data"]["keys"] = sorted({key.rstrip("/") for key in body["data"]["keys"]})
        return saying(answer, body)
    return answer


@FAULTS.fault("empty_folder_lists_nothing")
def empty_folder_lists_itself(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if request.method == "LIST" and answer.status == 404 and "/metadata/" in path_of(request):
        return done({"data": {"keys": [""]}})
    return answer


@FAULTS.fault("paths_are_code_points")
def letters_are_folded(server: Behind, request: Sent) -> Said:
    if "/esa-" in path_of(request):
        return server.ask(with_target(request, path_of(request).lower()))
    return server.ask(request)


@FAULTS.fault("pages_have_each_key_once")
def page_repeats_a_key(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    body = body_of(answer)
    if (
        request.method == "LIST"
        and answer.status == 200
        and query_of(request).get("after", "")
        and "limit" in request.target
    ):
        body["data"]["keys"] = [query_of(request)["after"], *body["data"]["keys"]][:3]
        return saying(answer, body)
    return answer


@FAULTS.fault("removal_begins_anew", "removed_secret_is_not_listed")
def removal_is_deletion(server: Behind, request: Sent) -> Said:
    if request.method == "DELETE" and "/metadata/" in path_of(request):
        return server.ask(with_target(request, path_of(request).replace("/metadata/", "/data/")))
    return server.ask(request)


@FAULTS.fault("newest_versions_stay")
def number_of_versions_is_ignored(server: Behind, request: Sent) -> Said:
    body = body_of(request)
    if isinstance(body, dict) and "max_versions" in body:
        return done()
    return server.ask(request)


@FAULTS.fault("description_comes_back")
def names_of_metadata_are_folded(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    return replace(answer, body=answer.body.replace(b'"Case"', b'"case"'))


@FAULTS.fault("patch_merges", "patch_of_nothing_is_refused")
def patch_is_a_write(server: Behind, request: Sent) -> Said:
    if request.method == "PATCH":
        headers = {**request.headers, "content-type": "application/json"}
        return server.ask(replace(request, method="POST", headers=headers))
    return server.ask(request)


@FAULTS.fault("patches_at_once_all_count")
def one_patch_of_many_is_lost(server: Behind, request: Sent) -> Said:
    if request.method == "PATCH" and b"from3" in request.body:
        return done({"data": {"version": 3}})
    return server.ask(request)


@FAULTS.fault("structure_has_no_value")
def structure_has_values(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if "/subkeys/" in path_of(request) and answer.status == 200:
        value = _value(
            server.ask_as_root(with_target(request, path_of(request).replace("/subkeys/", "/data/")))
        )
        return saying(answer, {"data": {"subkeys": value, "metadata": {}}})
    return answer


@FAULTS.fault("entity_tags_guard_writes")
def condition_of_a_write_is_ignored(server: Behind, request: Sent) -> Said:
    return server.ask(with_headers(request, **{"if-match": None}))


@FAULTS.fault("stale_tags_remove_nothing")
def condition_of_a_removal_is_ignored(server: Behind, request: Sent) -> Said:
    removes = request.method == "DELETE" and "/metadata/" in path_of(request)
    return server.ask(with_headers(request, **{"if-match": None}) if removes else request)


@FAULTS.fault("creation_only_and_not_modified")
def condition_of_absence_is_ignored(server: Behind, request: Sent) -> Said:
    return server.ask(with_headers(request, **{"if-none-match": None}))


@FAULTS.fault("entity_tags_say_nothing_of_values")
def entity_tag_is_a_digest_of_the_value(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if is_data(request, "GET") and answer.status == 200:
        digest = hashlib.sha256(repr(_value(answer)).encode()).hexdigest()
        kept = {name: value for name, value in answer.headers.items() if name.lower() != "etag"}
        return replace(answer, headers={**kept, "ETag": f'"{digest}"'})
    return answer
