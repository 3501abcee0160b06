# SPDX-License-Identifier: EUPL-1.2
"""What the server says of itself: nothing that it does not do, and nothing of what it keeps."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from vault import __version__
from vault.log.forward.settings import DeviceSettings
from vault.server.config.files import load
from vault.server.config.settings import Config
from vault.server.failure import StartFailure
from vault.server.http.discovery import DISCOVERY, SECURITY, describe, well_known
from vault.values.times import Millis

_NOON = int(datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp() * 1000)


def _config(tmp_path: Path, more: str = "") -> Config:
    file = tmp_path / "config.hcl"
    file.write_text(
        f'storage "inmem" {{}}\nlistener "tcp" {{ address = "127.0.0.1:0"\n tls_disable = true\n max_request_size = 70000 }}\n{more}'
    )
    return load([str(file)], {})


@dataclass
class _Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""

    async def take(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.text += message["body"].decode()


def _get(config: Config, path: str, now: int = _NOON) -> _Answer:
    application = Starlette(routes=[*well_known(config, config.listeners[0], lambda: Millis(now))])
    answer = _Answer()

    async def receive() -> Any:
        return {"type": "http.request", "body": b""}

    about = {"type": "http", "method": "GET", "headers": [], "query_string": b""}
    asyncio.run(application({**about, "path": path, "raw_path": path.encode()}, receive, answer.take))
    return answer


def _document(config: Config) -> Any:
    answer = _get(config, DISCOVERY)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["cache-control"] == "no-store"
    return json.loads(answer.text)


def test_the_document_says_what_the_program_does(tmp_path: Path) -> None:
    found = _document(_config(tmp_path))
    assert found["implementation"] == {"project": "coffre", "version": __version__}
    assert [uri.rpartition("/")[2] for uri in found["conformsTo"]] == [
        "kv-consume", "kv-manage", "identity", "X-wrap", "X-ns", "X-transit",
    ]  # fmt: skip
    assert (found["limits"]["body"], found["limits"]["idempotency_s"]) == (70000, 86_400)
    assert found["environment"] == "production"
    assert "log" not in found and "log" not in found["links"]
    assert not {"query", "proof", "devices", "witness"} & {*found["features"]}


def test_of_the_log_it_says_what_is_configured(tmp_path: Path) -> None:
    config = _config(tmp_path, f'log {{ path = "{tmp_path}/log"\n retention_min = "180d" }}')
    found = _document(config)
    assert found["log"]["retention"] == {"min": f"PT{180 * 86400}S"}
    assert found["log"]["durable"] == "written"
    assert {"query", "proof", "sequence"} <= {*found["features"]}
    assert not {"devices", "retention", "witness"} & {*found["features"]}
    assert found["conformsTo"][-1].endswith("/log")
    assert str(tmp_path) not in json.dumps(found)


def test_a_version_may_be_hidden_and_the_rest_be_told(tmp_path: Path) -> None:
    more = """
discovery {
  hide_version = true
  environment = "test"
  support_until = "2031-12-31"
  advisories = "https://example.eu/csaf.json"
}"""
    found = _document(_config(tmp_path, more))
    assert found["implementation"] == {
        "project": "coffre",
        "support_until": "2031-12-31",
        "advisories": "https://example.eu/csaf.json",
    }
    assert found["environment"] == "test"


_CONTACT = """
discovery {
  security_contact = ["mailto:security@example.eu", "https://example.eu/report"]
  security_expires = "2027-06-01"
  security_languages = "fr, en"
}"""


def test_security_txt_is_served_until_it_expires(tmp_path: Path) -> None:
    config = _config(tmp_path, _CONTACT)
    answer = _get(config, SECURITY)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text.splitlines() == [
        "Contact: mailto:security@example.eu",
        "Contact: https://example.eu/report",
        "Expires: 2027-06-01T00:00:00Z",
        "Preferred-Languages: fr, en",
    ]
    end = int(datetime(2027, 6, 1, tzinfo=UTC).timestamp() * 1000)
    assert _get(config, SECURITY, end - 1).status == 200
    assert _get(config, SECURITY, end).status == 404
    assert _get(_config(tmp_path), SECURITY).status == 404


def test_devices_and_an_end_of_what_is_kept_are_features(tmp_path: Path) -> None:
    config = _config(
        tmp_path,
        f'log {{ path = "{tmp_path}/log"\n retention_max = "365d"\n device "socket" "s" {{ address = "tcp://127.0.0.1:1" }} }}',
    )
    assert isinstance(config.log.devices[0], DeviceSettings)
    assert {"devices", "retention"} <= {*describe(config, config.listeners[0])["features"]}  # type: ignore[misc]  # a list


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ('environment = "a b"', "environment must be one word"),
        ('support_until = "2031-13-01"', "support_until must be a day such as"),
        ('advisories = "http://example.eu"', "advisories must be an https:// URL"),
        ('security_contact = ["me"]\n security_expires = "2027-06-01"', "security_contact must be mailto:"),
        ('security_contact = ["tel:+33-1"]', "security_contact and security_expires go together"),
        ('security_expires = "2027-06-01"', "security_contact and security_expires go together"),
    ],
)
def test_what_cannot_be_right_is_refused(tmp_path: Path, setting: str, told: str) -> None:
    with pytest.raises(StartFailure, match=told):
        _config(tmp_path, f"discovery {{\n {setting}\n}}")
