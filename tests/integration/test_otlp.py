# SPDX-License-Identifier: EUPL-1.2
"""A server and an OpenTelemetry collector: it gets all there is, over TLS; one that is away keeps nobody waiting, and gets it later."""

import time
from pathlib import Path

from tests.integration.processes import certificate, get
from tests.integration.test_server_vault import opened
from tests.otlp_receiver import attributes, awaited, receiving
from tests.ports import free_port

METRICS = "/v1/sys/metrics?format=prometheus"
OPEN = "telemetry { unauthenticated_metrics_access = true }"


def _collector(endpoint: str, more: str = "") -> str:
    return f'telemetry {{\n otlp {{\n endpoint = "{endpoint}"\n metrics_interval = "1s"\n {more}\n }}\n}}\n'


def test_traces_metrics_and_log_lines_reach_a_collector_over_tls(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "collector")
    (tmp_path / "headers").write_text("authorization: Bearer hunter2\n")
    with receiving((cert, key)) as receiver:
        more = f'tls_ca_file = "{cert}"\n headers_file = "{tmp_path}/headers"'
        with opened(tmp_path, more=_collector(receiver.endpoint, more)) as (server, _, client):
            assert client.ask("POST", "kv/hunter2", {"a": "hunter2"})[0] == 204
            trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            headers = {"traceparent": trace, "x-vault-token": client.token}
            client.connection.request("GET", "/v1/kv/hunter2", headers=headers)
            assert client.connection.getresponse().read()
            names = {"GET /v1/kv/{path}", "POST /v1/kv/{path}", "storage commit", "storage get"}
            awaited(lambda: {span.name for span in receiver.spans} >= names)
            (read,) = (span for span in receiver.spans if span.name == "GET /v1/kv/{path}")
            assert read.trace_id.hex() == "0af7651916cd43dd8448eb211c80319c"
            assert attributes(read)["http.response.status_code"] == 200
            open_ = awaited(lambda: receiver.metrics.get("vault.core.unsealed"))
            assert open_ is not None
            assert open_.gauge.data_points[0].as_double == 1
            awaited(
                lambda: [line for line in receiver.lines if line.body.string_value == "vault is unsealed"]
            )
            assert "hunter2" not in "\n".join(server.lines)


def test_a_collector_that_is_away_costs_nobody_anything_but_what_is_dropped(tmp_path: Path) -> None:
    place = free_port()
    more = _collector(f"http://127.0.0.1:{place}")
    with opened(tmp_path, f"tls_disable = true\n {OPEN}", more=more) as (_, port, client):
        assert client.ask("POST", "kv/x", {"a": "b"})[0] == 204
        for _ in range(50):
            assert client.ask("GET", "kv/x")[0] == 200

        def failed() -> bool:
            text = get(port, METRICS)[1]
            found = [line for line in text.splitlines() if line.startswith("coffre_telemetry_failures_total")]
            return any('"traces"' in line and float(line.rpartition(" ")[2]) >= 1 for line in found)

        awaited(failed)
        assert client.ask("GET", "kv/x")[0] == 200
        with receiving(port=place) as receiver:
            awaited(lambda: sum(span.name == "GET /v1/kv/{path}" for span in receiver.spans) >= 51)
        ended = time.monotonic()
    assert time.monotonic() - ended < 60, "the server ends without it"
