# SPDX-License-Identifier: EUPL-1.2
"""Tests of routes run on every kind of storage, and ask several applications in turn, but those that are held here."""

import ast
from collections.abc import Iterator

import pytest

from tests.house.tree import ROOT

_MARKERS = {"in_memory", "asked_alone"}
_MARKED = {
    (
        "test_apart::test_an_answer_that_cannot_be_asked_for_again_waits_for_its_turn",
        "in_memory",
    ): "counts turns of the event loop",
    ("test_refused_early", "asked_alone"): "reads what one process counted",
    ("test_recorded_together", "asked_alone"): "reads the log of one process",
    ("test_framing", "in_memory"): "counts turns of the event loop",
    ("test_fair_logins", "in_memory"): "has all wait before the first is done",
    ("test_lost_values", "asked_alone"): "takes slots away from one process",
    (
        "test_exact_numbers::test_a_number_that_is_written_and_read_has_one_hash",
        "asked_alone",
    ): "reads the log of one process",
    (
        "test_again::test_no_answer_leaves_before_its_records_are_written",
        "in_memory",
    ): "counts turns of the event loop",
    (
        "test_again::test_two_in_a_row_are_answered_in_order_before_the_first_has_left",
        "in_memory",
    ): "counts turns of the event loop",
    (
        "test_conditions::test_a_read_that_is_not_sent_again_is_recorded_and_counted_as_a_read",
        "asked_alone",
    ): "each node counts by itself for a rate limit",
    (
        "test_clock_jumps::test_a_limit_of_requests_lasts_its_own_time_whatever_the_clock_says",
        "asked_alone",
    ): "each node counts by itself for a rate limit",
    (
        "test_biscuits_signers::test_a_key_is_opened_once_for_many_tokens_and_again_after_a_seal",
        "asked_alone",
    ): "counts what one process keeps in memory",
    (
        "test_biscuits_external::test_a_list_of_revocations_is_signed_once_however_many_ask_for_it_at_once",
        "asked_alone",
    ): "counts what one process asks of a device",
    (
        "test_transit_external::test_only_aes_versions_are_told_of_before_their_limit",
        "asked_alone",
    ): "each process has uses that it has not stored yet",
    (
        "test_transit_external::test_versions_are_of_different_kinds_and_older_ones_are_wrapped_anew",
        "asked_alone",
    ): "each process has uses that it has not stored yet",
    (
        "test_transit_external::test_a_key_that_is_put_away_asks_no_device",
        "asked_alone",
    ): "another process may ask once more, before it learns of it",
    (
        "test_safe::test_nothing_is_signed_until_a_slot_opens_the_safe_again_and_then_it_is",
        "asked_alone",
    ): "has one process forget what it holds",
    (
        "test_contained::test_a_file_that_became_a_pipe_is_waited_for_from_its_first_record_on",
        "asked_alone",
    ): "has one process open its audit file anew",
    (
        "test_possession::test_a_proof_counts_once_although_the_wall_clock_is_set_and_set_right_again",
        "asked_alone",
    ): "each process knows the proofs that it saw itself",
    ("test_again", "asked_alone"): "sends all on one connection, to one process",
    ("test_apart", "asked_alone"): "holds up the threads of one process",
    (
        "test_biscuit_children::test_a_child_is_bound_to_the_key_that_signs_each_request",
        "asked_alone",
    ): "each process knows the proofs that it saw itself",
    (
        "test_biscuits::test_a_read_that_comes_again_is_planned_until_its_token_ends_or_is_revoked",
        "asked_alone",
    ): "counts what one process keeps in memory",
    ("test_complexity", "in_memory"): "measures what requests cost a processor",
    (
        "test_contained::test_both_records_are_one_write_and_stand_before_the_commit",
        "in_memory",
    ): "reads what is stored from within a request",
    (
        "test_contained::test_sl_53_what_lost_against_another_is_tried_again_only_where_a_device_has_its_records",
        "in_memory",
    ): "has a commit of the memory lose",
    (
        "test_contained::test_a_refusal_that_keeps_what_it_wrote_is_recorded_before_that_is_kept",
        "in_memory",
    ): "reads what is stored from within a request",
    (
        "test_crypto_inventory::test_a_device_that_is_away_leaves_its_row_and_is_not_asked",
        "asked_alone",
    ): "each process watches its slots by itself",
    (
        "test_engines_page::test_a_private_key_lies_in_the_safe_and_is_forgotten_by_a_seal",
        "asked_alone",
    ): "counts what one process keeps in memory",
    ("test_failed_logins", "asked_alone"): "each lists the failed logins that it saw itself",
    ("test_metrics", "asked_alone"): "reads what one process counted",
    ("test_other_tokens", "asked_alone"): "sends all on one connection, to one process",
    (
        "test_plans::test_a_token_that_ends_takes_its_own_plan_along_and_nobody_elses",
        "asked_alone",
    ): "counts what one process keeps in memory",
    (
        "test_plans::test_a_planned_read_counts_for_its_rate_limit",
        "asked_alone",
    ): "each node counts by itself for a rate limit",
    (
        "test_possession::test_a_token_that_is_bound_to_a_key_wants_a_fresh_proof_for_each_request",
        "asked_alone",
    ): "each process knows the proofs that it saw itself",
    (
        "test_possession::test_a_full_memory_of_proofs_refuses_its_own_key_until_they_are_too_old_and_never_takes_one_again",
        "asked_alone",
    ): "each process knows the proofs that it saw itself",
    (
        "test_possession::test_whoever_has_a_token_and_not_its_key_uses_up_no_memory_of_proofs",
        "asked_alone",
    ): "each process knows the proofs that it saw itself",
    (
        "test_possession::test_a_check_that_a_holder_made_of_a_key_wants_a_proof_that_did_not_count_yet",
        "asked_alone",
    ): "each process knows the proofs that it saw itself",
    (
        "test_possession::test_a_proof_that_became_too_old_counts_no_more_when_the_wall_clock_is_set_back",
        "asked_alone",
    ): "each process knows the proofs that it saw itself",
    (
        "test_ssh::test_a_private_key_is_opened_once_and_forgotten_when_the_vault_is_sealed",
        "asked_alone",
    ): "counts what one process keeps in memory",
    ("test_traced", "asked_alone"): "reads what one process is about to send",
    (
        "test_transit::test_as_many_keys_stay_in_memory_as_a_mount_says",
        "asked_alone",
    ): "counts what one process keeps in memory",
    (
        "test_transit_uses::test_encryptions_and_signatures_are_counted_by_version",
        "asked_alone",
    ): "each process has uses that it has not stored yet",
    (
        "test_transit_uses::test_counts_outlive_a_seal_and_are_added_up",
        "asked_alone",
    ): "each process has uses that it has not stored yet",
    (
        "test_transit_uses::test_a_key_is_told_of_once_when_half_of_its_encryptions_are_done",
        "asked_alone",
    ): "each process has uses that it has not stored yet",
    (
        "test_transit_uses::test_what_is_gone_is_counted_no_more",
        "asked_alone",
    ): "each process has uses that it has not stored yet",
    ("test_devices_behind", "asked_alone"): "one process lacks a device",
    ("test_unknown_outcomes", "asked_alone"): "its storage is its own",
    ("test_unrecorded", "asked_alone"): "takes the audit device of one process away",
    (
        "test_uses::test_the_last_use_is_kept_to_the_hour_and_a_request_in_between_writes_nothing",
        "in_memory",
    ): "counts what the memory is written",
    (
        "test_uses::test_chains_that_come_at_once_are_written_down_together",
        "in_memory",
    ): "counts what the memory is written",
    (
        "test_uses::test_what_is_stored_of_a_token_is_known_while_its_first_chain_is_written_down",
        "asked_alone",
    ): "counts what one process keeps in memory",
    ("test_written_again", "asked_alone"): "sends all on one connection, to one process",
}
"""What is marked, and why: a module's name, or a test's after it. Whoever adds to this says what no other way shows."""


def marked(module: str, source: str) -> Iterator[tuple[str, str, str]]:
    """Return what is marked in a module, by which marker, and why."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark":
            whose, found = module, ast.walk(node.value)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            whose, found = (
                f"{module}::{node.name}",
                (part for each in node.decorator_list for part in ast.walk(each)),
            )
        else:
            continue
        for part in found:
            if isinstance(part, ast.Attribute) and part.attr in _MARKERS:
                yield whose, part.attr, ""
            elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
                if part.func.attr in _MARKERS and part.args:
                    yield whose, part.func.attr, ast.literal_eval(part.args[0])


def _all() -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for path in sorted((ROOT / "tests" / "routes").glob("test_*.py")):
        for whose, marker, why in marked(path.stem, path.read_text(encoding="utf-8")):
            found[whose, marker] = found.get((whose, marker)) or why
    return found


def test_what_is_marked_is_held_with_its_reason() -> None:
    assert _all() == _MARKED


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('pytestmark = pytest.mark.in_memory("a")', {("m", "in_memory", "a")}),
        ('pytestmark = [pytest.mark.loopback, pytest.mark.in_memory("a")]', {("m", "in_memory", "a")}),
        ('@pytest.mark.asked_alone("a")\ndef test_b(): pass', {("m::test_b", "asked_alone", "a")}),
        ("@pytest.mark.asked_alone\ndef test_b(): pass", {("m::test_b", "asked_alone", "")}),
        ("@pytest.mark.loopback\ndef test_b(): pass", set()),
    ],
)
def test_a_mark_is_seen_wherever_it_is(source: str, found: set[tuple[str, str, str]]) -> None:
    assert {each for each in marked("m", source) if each[2]} | {
        each for each in found if not each[2]
    } == found
    assert {each[:2] for each in marked("m", source)} == {each[:2] for each in found}
