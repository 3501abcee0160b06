# SPDX-License-Identifier: Apache-2.0
"""Before the first write: is this the server that the manifest means, and may it be written to?"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from esa_conformance.binding.client import Client
from esa_conformance.decoding import shown
from esa_conformance.errors import SafetyStop
from esa_conformance.manifest import Manifest

DISCOVERY: Final = "/.well-known/european-secrets-api"


@dataclass(frozen=True)
class Identity:
    """What a server tells of itself without credential; empty where it does not."""

    product: str
    version: str
    cluster_id: str
    sealed: bool
    tls_sha256: str
    discovery: Mapping[str, Any] | None
    discovery_sha256: str

    def lines(self) -> list[str]:
        """For people."""
        told = {"product": self.product, "version": self.version, "cluster id": self.cluster_id}
        shown = [f"{name}: {value or 'not told'}" for name, value in told.items()]
        return [*shown, f"certificate: {self.tls_sha256 or 'none'}"]


def identify(nobody: Client) -> Identity:
    """Ask the server who it is; nothing is written."""
    certificate = nobody.transport.certificate()
    health = nobody.health().answer
    answer = nobody.send_literal("GET", DISCOVERY).answer
    found = answer.json if answer.ok and isinstance(answer.json, dict) else None
    implementation = (found or {}).get("implementation")
    told = implementation if isinstance(implementation, dict) else {}
    return Identity(
        product=shown(told.get("project") or ""),
        version=shown(told.get("version") or health.member("version") or ""),
        cluster_id=shown(health.member("cluster_id") or ""),
        sealed=health.member("sealed") is True,
        tls_sha256=hashlib.sha256(certificate).hexdigest() if certificate else "",
        discovery=found,
        discovery_sha256=hashlib.sha256(answer.body).hexdigest() if found else "",
    )


def check(manifest: Manifest, found: Identity, *, writes: bool, opens: bool = False) -> None:
    """Raises SafetyStop where the server is another than expected, or none to be written to.

    With `opens` this is asked before a sealed server is opened again, which does not tell its cluster.
    """
    expect = manifest.expect
    for name, wanted, is_ in (
        ("product", expect.product, found.product),
        ("version", expect.version, found.version),
        ("cluster_id", expect.cluster_id, found.cluster_id),
        ("tls_sha256", expect.tls_sha256, found.tls_sha256),
    ):
        not_told = not is_ and (name == "product" or (name == "cluster_id" and opens and found.sealed))
        if wanted and wanted != is_ and not not_told:
            raise SafetyStop(f"target.expect.{name} is not what the server tells: {is_ or 'nothing'}")
    told = (found.discovery or {}).get("environment")
    if writes and "production" in (manifest.environment, told):
        raise SafetyStop("this is a production environment: only --read-only is run there")
