# SPDX-License-Identifier: EUPL-1.2
"""Which addresses each kind of device may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from vault.log.forward.settings import Kind

SCHEMES: Final[Mapping[str, tuple[str, ...]]] = {
    "syslog": ("tls", "tcp"),
    "socket": ("tls", "tcp", "unix"),
    "http": ("https", "http"),
    "otlp": ("https", "http"),
}
"""By kind of device the schemes of its address."""
TARGETS: Final[Mapping[Kind, str]] = {"http": "/", "otlp": "/v1/logs"}
"""Where a request goes whose address has no path."""
