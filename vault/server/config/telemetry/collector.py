# SPDX-License-Identifier: EUPL-1.2
"""`otlp { … }` in `telemetry`: the OpenTelemetry collector, and what it is sent."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Final

import msgspec

from vault.framework.hcl.syntax_tree import Value
from vault.log.forward.transport.address import BadAddress, parse_address
from vault.server.config import values as setting
from vault.server.config.reader import Entry, Findings, body, read
from vault.server.config.values import Setting, Unreadable

_SHORTEST: Final = 1.0


def share(value: Value) -> float:
    """Read a number from 0 to 1, quoted or not."""
    try:
        found = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else -1.0
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise Unreadable("a number from 0 to 1")
    return found


class Collector(msgspec.Struct, frozen=True, kw_only=True):
    """Where traces, metrics and log lines go by OTLP over HTTP; nowhere without an endpoint."""

    endpoint: Annotated[
        str,
        Setting(
            setting.filled,
            "Where the collector is: `https://HOST:PORT`, below which are `/v1/traces`, `/v1/metrics` and `/v1/logs`. Without "
            "TLS only on loopback. Required.",
        ),
    ] = ""
    headers_file: Annotated[
        str,
        Setting(
            setting.filled,
            "File with headers of each request, such as a token: `NAME: VALUE` on each line. Read at the start.",
        ),
    ] = ""
    tls_ca_file: Annotated[
        str,
        Setting(
            setting.filled,
            "PEM file: the authorities that the collector's certificate is checked against.",
            "the system's",
        ),
    ] = ""
    tls_cert_file: Annotated[
        str, Setting(setting.filled, "PEM file: the certificate that is shown to the collector.")
    ] = ""
    tls_key_file: Annotated[
        str, Setting(setting.filled, "PEM file: that certificate's private key, not encrypted.")
    ] = ""
    service_name: Annotated[str, Setting(setting.filled, "What the server is called there.")] = "coffre"
    traces: Annotated[bool, Setting(setting.boolean, "Send traces of requests.")] = True
    sampling_ratio: Annotated[
        float,
        Setting(
            share,
            "Which part of the requests is traced, from 0 to 1. Up to a rate, others are traced too: those that come with a good "
            "token and a `traceparent` that is sampled.",
        ),
    ] = 1.0
    metrics: Annotated[bool, Setting(setting.boolean, "Send metrics.")] = True
    metrics_interval: Annotated[
        float, Setting(setting.duration, "How often metrics are sent, 1 s at least.", "60s")
    ] = 60
    logs: Annotated[bool, Setting(setting.boolean, "Send the lines of the server's log.")] = True


def collector(found: Collection[Entry], findings: Findings) -> Collector:
    """Read the `otlp { … }` that stand in `telemetry`."""
    inside = [(entry, body(entry, 0, findings) or ()) for entry in found if entry.item.key == "otlp"]
    made = Collector(
        **read(Collector, "otlp", [inner for _, content in inside for inner in content], findings)
    )
    if inside:
        _check(inside[-1][0], made, findings)
    return made


def _check(entry: Entry, made: Collector, findings: Findings) -> None:
    try:
        address = parse_address(made.endpoint)
        if address.scheme not in {"https", "http"}:
            findings.refuse(entry, "otlp: endpoint must begin with https://")
        elif not address.protected:
            findings.refuse(entry, "otlp: endpoint must begin with https://, unless it is on loopback")
    except BadAddress as problem:
        findings.refuse(entry, f"otlp: endpoint {problem}")
    if bool(made.tls_cert_file) != bool(made.tls_key_file):
        findings.refuse(entry, "otlp: tls_cert_file and tls_key_file go together; set both")
    if made.metrics_interval < _SHORTEST:
        findings.refuse(entry, "otlp: metrics_interval must be at least 1s")
