# SPDX-License-Identifier: EUPL-1.2
"""The vault server: storage, barrier, seal, engines, and the one request path through them."""

from __future__ import annotations

__version__ = "0.1.0"
