# SPDX-License-Identifier: EUPL-1.2
"""While a device that must have the log lacks records of it, who is asked to come again has lost nothing (LOG-030)."""

import pytest

from tests.routes.driver import Answer, Application
from vault.log.forward.settings import DeviceSettings
from vault.log.forward.watch import DeviceWatch

pytestmark = pytest.mark.asked_alone("one process lacks a device")


@pytest.fixture
def watch(application: Application) -> DeviceWatch:
    """The watch over a device, which looks at nothing: a test says what it has seen."""
    audit = application.vault.controls.audit
    assert audit.common is not None
    device = DeviceSettings(kind="socket", name="siem", address="tcp://127.0.0.1:1", policy="required")
    watch = audit.common.watch([device], lambda *_: None)
    assert watch is not None
    audit.watch = watch  # type: ignore[misc]  # as where one is configured
    return watch


def _unwrap(application: Application, token: str) -> Answer:
    return application.request("POST", "/v1/sys/wrapping/unwrap", token=token)


def test_who_is_put_off_keeps_what_waits_and_the_uses_of_a_token(
    application: Application, watch: DeviceWatch
) -> None:
    wrapped = application.request(
        "POST", "/v1/sys/wrapping/wrap", {"a": "once"}, token="root", headers={"x-vault-wrap-ttl": "10m"}
    ).json()["wrap_info"]["token"]
    few = application.request("POST", "/v1/auth/token/create", {"num_uses": 2}, token="root").json()
    counted = few["auth"]["client_token"]
    watch.gate.refusal = "the device siem lacks the newest records; try again in a moment"
    for _ in range(3):
        put_off = [
            _unwrap(application, wrapped),
            application.request("GET", "/v1/auth/token/lookup-self", token=counted),
            application.request("GET", "/v1/secret/data/x", token="root"),
        ]
        assert [(one.status, "retry-after" in one.headers) for one in put_off] == [(503, True)] * 3
        assert "siem" in put_off[2].body.decode()
        assert application.records()[-1]["auth"]["policies"] == ["root"], (
            "who was put off is known all the same"
        )
    stranger = application.request("GET", "/v1/secret/data/x", token="s.nobody")
    assert (stranger.status, "siem" in stranger.body.decode()) == (503, False)
    watch.gate.refusal = ""
    assert _unwrap(application, wrapped).json()["data"] == {"a": "once"}
    left = application.request("GET", "/v1/auth/token/lookup-self", token=counted)
    assert (left.status, left.json()["data"]["num_uses"]) == (200, 1)


def test_what_is_asked_while_sealed_or_unasked_is_answered_all_the_same(
    application: Application, watch: DeviceWatch
) -> None:
    watch.gate.refusal = "the device siem lacks the newest records"
    assert application.request("GET", "/v1/sys/health").status == 200
    assert application.request("GET", "/v1/sys/seal-status").status == 200
