# SPDX-License-Identifier: EUPL-1.2
"""What a record costs in each form: `python -m tests.perf.log_exports`.

Microseconds of processor time and bytes for a record of a KV read, alone and in batches of 256; the least of several
rounds, so that a busy machine shows little.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

from tests.routes.driver import Application
from vault.log.export.forms import FORMS, batch, exported
from vault.log.format.canonical import decode_record

ROUNDS: Final = 20
BATCH: Final = 256


def lines() -> list[bytes]:
    """The records of as many reads as a batch has."""
    with Application() as application:
        for _ in range(BATCH):
            application.request("GET", "/v1/secret/data/x", token="root")
        (segment,) = application.history.rglob("*.jsonl")
        return [line for line in segment.read_bytes().splitlines() if b'"esa.kv.read"' in line]


def least(work: Callable[[], object]) -> float:
    """The least processor time of several rounds, in microseconds for each record of a batch."""
    rounds = []
    for _ in range(ROUNDS):
        began = time.process_time()
        work()
        rounds.append(time.process_time() - began)
    return min(rounds) * 1e6 / BATCH


def main() -> None:
    """Measure and print."""
    records = lines()[:BATCH]
    print(f"{'form':10}{'alone':>10}{'in a batch':>12}{'bytes':>8}")
    print(f"{'read':10}{least(lambda: [decode_record(line) for line in records]):>7.1f} µs")
    for form in FORMS:
        alone = least(partial(_each, records, form))
        together = least(partial(batch, records, form))
        print(f"{form:10}{alone:>7.1f} µs{together:>9.1f} µs{len(batch(records, form)) // BATCH:>8}")


def _each(records: list[bytes], form: str) -> None:
    for line in records:
        exported(line, form)


if __name__ == "__main__":
    main()
