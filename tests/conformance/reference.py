# SPDX-License-Identifier: EUPL-1.2
"""The real binary with everything mounted that it has, and the OpenAPI document that it then gives."""

import json
from collections.abc import Mapping

from tests.conformance.servers import OpenBaoServer
from tests.conformance.wire import send

_SECRETS = ("database", "kubernetes", "pki", "rabbitmq", "ssh", "totp", "transit")
_AUTH = ("approle", "cert", "jwt", "kubernetes", "oidc", "userpass")


class Everything(OpenBaoServer):
    """OpenBao with the endpoints that are off by default."""

    def _config(self) -> str:
        return super()._config() + "raw_storage_endpoint = true\nintrospection_endpoint = true\n"


def fetch() -> Mapping[str, Mapping[str, object]]:
    """The ``paths`` of the document, as the root token sees it."""
    server = Everything()
    try:
        server.initialise()
        for kind in _SECRETS:
            _mount(server, f"mounts/{kind}", kind)
        _mount(server, "mounts/kv1", "kv")
        _mount(server, "mounts/secret", "kv-v2")
        for kind in _AUTH:
            _mount(server, f"auth/{kind}", kind)
        answer = send(
            server.port, "GET", "/v1/sys/internal/specs/openapi", {"X-Vault-Token": server.root}, None
        )
        paths: Mapping[str, Mapping[str, object]] = json.loads(answer.body)["paths"]
        return paths
    finally:
        server.stop()


def _mount(server: OpenBaoServer, path: str, kind: str) -> None:
    body = json.dumps({"type": kind}).encode()
    answer = send(server.port, "POST", f"/v1/sys/{path}", {"X-Vault-Token": server.root}, body)
    if answer.status != 204:
        raise RuntimeError(f"sys/{path} answered {answer.status}: {answer.body!r}")
