# SPDX-License-Identifier: EUPL-1.2
"""A request of OTLP, read by the official definition."""

import json
from base64 import b64encode
from typing import Any

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

DEEPEST = 100
"""Messages within messages that readers of protocol buffers take."""


def read_request(request: bytes) -> ExportLogsServiceRequest:
    """The request as a message. Raises for any member that is unknown, or of another type.

    Ids are hexadecimal in OTLP's JSON, and nowhere else in that of protocol buffers.
    """
    said = json.loads(request)
    for record in log_records(said):
        for name in {"traceId", "spanId"} & record.keys():
            record[name] = b64encode(bytes.fromhex(record[name])).decode()
    message = ExportLogsServiceRequest()
    ParseDict(said, message, ignore_unknown_fields=False, max_recursion_depth=DEEPEST)
    return message


def log_records(said: Any) -> list[Any]:
    """The log records of a decoded request."""
    return [
        record
        for each in said["resourceLogs"]
        for scope in each["scopeLogs"]
        for record in scope["logRecords"]
    ]


def only_record(request: bytes) -> LogRecord:
    """The one record of a request, as a message."""
    (resource,) = read_request(request).resource_logs
    (scope,) = resource.scope_logs
    (record,) = scope.log_records
    return record
