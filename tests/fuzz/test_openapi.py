# SPDX-License-Identifier: EUPL-1.2
"""Schemathesis on our own OpenAPI document: every operation, with what its schema allows and what it does not."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from tests.fuzz.process import PATIENCE, TRACEBACK, VaultProcess, initialised
from tests.fuzz.storm import ENDS_IT


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[VaultProcess]:
    with initialised(tmp_path) as vault:
        yield vault


def every_operation(vault: VaultProcess) -> list[Any]:
    """The operations of our document, but for those that end the server or the token."""
    with vault.client() as client:
        document = client.request("GET", "/v1/sys/internal/specs/openapi").json()
    schema = schemathesis.openapi.from_dict(document)
    results = list(schema.get_all_operations())
    operations = [result.ok() for result in results if isinstance(result, Ok)]
    assert len(operations) == len(results)
    return [operation for operation in operations if operation.path not in ENDS_IT]


def try_out(
    vault: VaultProcess, session: requests.Session, operation: Any, mode: GenerationMode, examples: int
) -> int:
    """Send what schemathesis makes of one operation; return how many requests that were.

    They share a session: a connection for each request costs more than all else that is done for it.
    """
    sent = 0

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        nonlocal sent
        answer = case.call(
            base_url=f"http://127.0.0.1:{vault.port}/v1",
            headers={"X-Vault-Token": vault.root},
            session=session,
            timeout=PATIENCE,
        )
        session.cookies.clear()
        assert b"internal error" not in answer.content, (operation.path, case.body)
        sent += 1

    if mode is GenerationMode.NEGATIVE:
        with contextlib.suppress(
            Unsatisfiable
        ):  # nothing that an operation without parameters would not allow
            send()
    else:
        send()
    return sent


def half(operations: list[Any], mode: GenerationMode) -> list[Any]:
    """The operations that are tried in this mode where each is tried in one of the two."""
    return [
        operation
        for operation in operations
        if crc32(f"{operation.method} {operation.path}".encode()) % 2 == (mode is GenerationMode.NEGATIVE)
    ]


def try_out_everything(
    vault: VaultProcess, operations: list[Any], mode: GenerationMode, examples: int
) -> int:
    assert len(operations) > 60
    with requests.Session() as session:
        session.trust_env = False  # no look-up of proxies and passwords for each request
        sent = sum(try_out(vault, session, operation, mode, examples) for operation in operations)
    log = vault.log.read_bytes()
    assert not TRACEBACK.search(log) and b"[ERROR]" not in log, log[-3000:]
    with vault.client() as client:
        assert client.request("GET", "/v1/auth/token/lookup-self").status == 200
    return sent


MODES = pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
"""A server for each, so that two workers share the time."""


@MODES
def test_schemathesis_finds_no_defect_in_any_operation(vault: VaultProcess, mode: GenerationMode) -> None:
    assert try_out_everything(vault, half(every_operation(vault), mode), mode, 3) > 200


@pytest.mark.soak
@pytest.mark.timeout(3600)
@MODES
def test_schemathesis_at_length_finds_no_defect_in_any_operation(
    vault: VaultProcess, mode: GenerationMode
) -> None:
    print(f"{try_out_everything(vault, every_operation(vault), mode, 60)} requests")  # noqa: T201 -- the figure is the result
