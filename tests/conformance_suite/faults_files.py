# SPDX-License-Identifier: EUPL-1.2
"""Faults of what is handed over: files of records and checkpoints."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.conformance_suite.judging import ARTEFACTS
from tests.conformance_suite.mutants import Behind, Faults, body_of, is_data, path_of, saying
from tests.conformance_suite.stub import Said, Sent

FAULTS = Faults()


def _records(server: Behind, request: Sent, change: Callable[[list[bytes]], list[bytes]]) -> Said:
    """The answer; of the file of records other lines."""
    answer = server.ask(request)
    if request.target != f"{ARTEFACTS}records":
        return answer
    return replace(answer, body=b"".join(line + b"\n" for line in change(answer.body.split(b"\n")[:-1])))


def _each(server: Behind, request: Sent, change: Callable[[dict[str, Any]], None]) -> Said:
    """The answer; of the file of records each changed."""

    def changed(line: bytes) -> bytes:
        record = json.loads(line)
        change(record)
        return json.dumps(record).encode()

    return _records(server, request, lambda lines: [changed(line) for line in lines])


@FAULTS.fault("change_is_in_the_file_at_once", "second_unwrapping_is_in_the_file")
def the_file_is_behind(server: Behind, request: Sent) -> Said:
    return _records(server, request, lambda lines: lines[: len(lines) // 2])


@FAULTS.fault("refusals_are_in_the_file", "unchanged_read_is_in_the_file")
def only_successes_with_a_body_are_written(server: Behind, request: Sent) -> Said:
    kept = (b'"status_code":200', b'"status_code":204')
    return _records(server, request, lambda lines: [one for one in lines if any(k in one for k in kept)])


@FAULTS.fault("file_has_no_secret")
def the_file_has_what_was_written(server: Behind, request: Sent) -> Said:
    if is_data(request, "POST"):
        server.memory["text"] = request.body.decode()
    return _each(server, request, lambda record: record.update(fields=server.memory.get("text")))


@FAULTS.fault(file_has_no_secret="warning")
def the_file_has_numbers(server: Behind, request: Sent) -> Said:
    body = body_of(request) if is_data(request, "POST") else None
    for value in body["data"].values() if isinstance(body, dict) else ():
        if isinstance(value, int):
            server.memory["number"] = value
    return _each(server, request, lambda record: record.update(fields=server.memory.get("number")))


@FAULTS.fault("records_share_the_answers_id")
def the_file_has_ids_of_its_own(server: Behind, request: Sent) -> Said:
    return _each(server, request, lambda record: record.update({"request.id": str(record["seq"])}))


@FAULTS.fault("records_stand_in_order", "file_is_one_chain")
def the_file_is_upside_down(server: Behind, request: Sent) -> Said:
    return _records(server, request, lambda lines: lines[::-1])


@FAULTS.fault(records_stand_in_order="warning")
def times_in_the_file_go_back(server: Behind, request: Sent) -> Said:
    def earlier(record: dict[str, Any]) -> None:
        record["observed_timestamp"] = f"2026-11-28T09:00:00.{999_999_999 - record['seq']:09}Z"

    return _each(server, request, earlier)


@FAULTS.fault("file_says_who_and_what")
def the_file_has_no_addresses(server: Behind, request: Sent) -> Said:
    return _each(server, request, lambda record: record.pop("client.address", None))


@FAULTS.fault("file_says_who_and_what")
def reading_is_written_as_writing(server: Behind, request: Sent) -> Said:
    return _each(server, request, lambda record: record.update(event_name="esa.kv.write"))


@FAULTS.fault("file_is_one_chain", "checkpoints_fit_the_records")
def a_record_in_the_file_was_edited(server: Behind, request: Sent) -> Said:
    return _records(server, request, lambda lines: [lines[0].replace(b"success", b"denied", 1), *lines[1:]])


@FAULTS.fault("file_is_one_chain")
def a_record_in_the_file_was_left_out(server: Behind, request: Sent) -> Said:
    return _records(server, request, lambda lines: [*lines[:3], *lines[4:]])


@FAULTS.fault("every_record_fits")
def records_in_the_file_are_too_long(server: Behind, request: Sent) -> Said:
    return _records(
        server, request, lambda lines: [*lines[:-1], b'{"more":"' + b"x" * 66_000 + b'",' + lines[-1][1:]]
    )


@FAULTS.fault("every_record_fits")
def records_in_the_file_have_spaces(server: Behind, request: Sent) -> Said:
    return _each(server, request, lambda _: None)


@FAULTS.fault("checkpoints_fit_the_records", "checkpoints_are_signed")
def a_checkpoint_says_less(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if request.target != f"{ARTEFACTS}checkpoints":
        return answer
    lines = [json.loads(line) for line in answer.body.split(b"\n")[:-1]]
    for line in lines:
        origin, size, rest = line["note"].split("\n", 2)
        line["note"] = f"{origin}\n{int(size) - 1}\n{rest}"
    return replace(answer, body=b"".join(json.dumps(line).encode() + b"\n" for line in lines))


@FAULTS.fault("checkpoints_fit_the_records")
def records_below_a_checkpoint_are_kept_back(server: Behind, request: Sent) -> Said:
    return _records(server, request, lambda lines: lines[:2])


@FAULTS.fault("proof_is_signed")
def proofs_are_signed_by_another_key(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if not path_of(request).endswith("/proof") or answer.status != 200:
        return answer
    text, _, last = answer.body.decode().rstrip("\n").rpartition(" ")
    spoiled = last[:12] + ("B" if last[12] != "B" else "C") + last[13:]
    return replace(answer, body=f"{text} {spoiled}\n".encode())


@FAULTS.fault("checkpoints_are_consistent")
def logs_are_shown_in_two_versions(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if "/sys/log/checkpoints/" not in path_of(request) or answer.status != 200:
        return answer
    lines = answer.body.decode().split("\n")
    lines[2] = "A" * 43 + "="
    return replace(answer, body="\n".join(lines).encode())


@FAULTS.fault("checkpoints_are_consistent")
def consistency_is_told_without_proof(server: Behind, request: Sent) -> Said:
    answer = server.ask(request)
    if "/sys/log/consistency/" in path_of(request):
        return saying(answer, {**body_of(answer), "data": {"hashes": []}})
    return answer
