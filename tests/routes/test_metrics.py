# SPDX-License-Identifier: EUPL-1.2
"""All metrics of a server: described, as Prometheus has its rules, and the same series whether it is sealed or open."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from tests.routes.driver import Application
from vault.framework.telemetry.described import MEANINGS, MetricFacts
from vault.framework.telemetry.exposition import full_name, render_prometheus
from vault.server.process import runtime_metrics

pytestmark = pytest.mark.asked_alone("reads what one process counted")
_SAMPLE = re.compile(r"([a-z_A-Z0-9]+)(?:\{(.*)\})? [^ ]+")
_LABEL = re.compile(r'([a-z_]+)="(?:[^"\\]|\\.)*"')


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with Application() as made:
        runtime_metrics.register(made.vault.ground.metrics, made.vault.ground.log)
        for method, path, body in (
            ("GET", "secret/data/x", None),
            ("GET", "secret/data/none", None),
            ("GET", "nowhere/x", None),
            ("LIST", "secret/metadata", None),
            ("POST", "auth/token/create", {"ttl": "1h"}),
            ("POST", "auth/userpass/login/x", {"password": "x"}),
        ):
            made.request(method, f"/v1/{path}", body, token="root")
        yield made


def shown(application: Application) -> str:
    async def render() -> bytes:
        return await render_prometheus(application.vault.ground.metrics)

    text: bytes = application.run(render())
    return text.decode()


def series(text: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def test_every_metric_is_described_with_its_kind_and_labels(application: Application) -> None:
    described = {full_name(name, "vault"): found for name, found in MEANINGS.items()}
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", shown(application), re.MULTILINE))
    assert len(kinds) > 30
    for name, kind in kinds.items():
        assert name.startswith("vault_route_") or described[name].kind == kind, name
    for line in series(shown(application)):
        found = _SAMPLE.fullmatch(f"{line} 0")
        assert found is not None, line
        family = next(name for name in (found[1], found[1].rpartition("_")[0]) if name in kinds)
        labels = {label for label in _LABEL.findall(found[2] or "") if label not in {"le", "quantile"}}
        assert labels == set(described.get(family, MetricFacts("summary", "")).labels), line


def test_no_series_comes_goes_or_changes_its_labels_by_sealing(application: Application) -> None:
    vault = application.vault
    open_ = series(shown(application))
    assert 'vault_core_unsealed{cluster=""} 1.0' in shown(application)
    application.run(vault._closing(kept=True))
    assert 'vault_core_unsealed{cluster=""} 0.0' in shown(application)
    sealed = series(shown(application))
    application.request("GET", "/v1/secret/data/x", token="root")
    assert series(shown(application)) == sealed
    assert sealed - open_ == {name for name in sealed if name.startswith("vault_core_pre_seal")}, (
        "only the sealing itself is timed"
    )
    assert open_ <= sealed
    application.run(vault.bootstrap_dev(root_token_id=None, mount_kv=False, unseal_key=application.key))
    assert series(shown(application)) == sealed


def test_refusals_are_counted_by_the_status_of_their_answers(application: Application) -> None:
    def counted() -> dict[str, float]:
        found = re.findall(
            r'^coffre_request_refusals_total\{status="(\d+)"\} (\d+)$', shown(application), re.MULTILINE
        )
        return {status: float(count) for status, count in found}

    before = counted()
    assert before.keys() >= {"400", "403", "404", "429", "500", "503"}
    for path, token in (("secret/data/none", "root"), ("secret/data/x", "none"), ("secret/data/x", "root")):
        application.request("GET", f"/v1/{path}", token=token)
    application.request("GET", "/v1/secret//data", token="root")  # refused before the pipeline has it
    assert {status: count - before[status] for status, count in counted().items() if count != before[status]} == {
        "403": 1, "404": 1,
    }  # fmt: skip


def test_names_that_are_ours_are_as_prometheus_wants_them(application: Application) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"],
        input=shown(application),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = (checked.stdout + checked.stderr).splitlines()
    assert not [line for line in complaints if line.startswith(("coffre_", "process_"))]
    assert any(line.startswith("vault_audit_log_request_failure ") for line in complaints), (
        "it looks at them all"
    )
