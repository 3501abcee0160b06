# SPDX-License-Identifier: EUPL-1.2
"""Lines in the form that is asked for: each leads back to the line, and nothing is dropped."""

import json

import pytest
from hypothesis import given

from tests.unit.log.export.official import log_records
from tests.unit.log.export.records import LINE, READ, RECORDS, Record
from vault.log.export.forms import FORMS, batch, exported, native
from vault.log.format.canonical import encode_record
from vault.log.format.tree import encode_hash, leaf_hash

TORN = LINE[:-1]


@pytest.mark.parametrize("form", FORMS)
@given(RECORDS)
def test_a_line_is_one_line_in_every_form_and_comes_back_byte_for_byte(form: str, record: Record) -> None:
    line = encode_record(record)
    made = exported(line, form)
    assert b"\n" not in made
    assert isinstance(json.loads(made), dict)
    assert native(made, form) == [line]


def test_a_native_line_stays_as_it_is_whatever_it_is() -> None:
    assert exported(TORN, "native") == TORN
    assert batch([LINE, TORN], "native") == LINE + b"\n" + TORN + b"\n"


def test_the_hash_in_an_export_is_that_of_the_line_in_the_tree() -> None:
    leaf = encode_hash(leaf_hash(LINE))
    assert json.loads(exported(LINE, "ecs"))["event"]["hash"] == leaf
    assert json.loads(exported(LINE, "ocsf"))["attestation_list"][0]["fingerprint"]["value"] == leaf


@pytest.mark.parametrize("form", ["ecs", "ocsf"])
def test_a_batch_has_a_document_a_line(form: str) -> None:
    lines = [encode_record({**READ, "seq": seq}) for seq in range(3)]
    made = batch(lines, form).splitlines()
    assert made == [exported(line, form) for line in lines]


def test_a_batch_for_otlp_is_one_request() -> None:
    lines = [encode_record({**READ, "seq": seq}) for seq in range(3)]
    made = batch(lines, "otlp")
    assert native(made, "otlp") == lines
    assert len(log_records(json.loads(made))) == 3


@pytest.mark.parametrize("form", ["ecs", "ocsf", "otlp"])
def test_a_line_that_is_no_record_is_delivered_and_not_taken_for_one(form: str) -> None:
    made = exported(TORN, form)
    assert "it is no JSON object" in made.decode()
    with pytest.raises(ValueError):
        native(made, form)


def test_a_form_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(ValueError, match="'cef': it is one of native, otlp, ecs, ocsf"):
        exported(LINE, "cef")
