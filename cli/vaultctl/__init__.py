# SPDX-License-Identifier: EUPL-1.2
"""vaultctl: the operators' command. It speaks HTTP only and imports nothing of the server."""

from __future__ import annotations

__version__ = "0.1.0"
