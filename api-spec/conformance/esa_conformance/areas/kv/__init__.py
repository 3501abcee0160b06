# SPDX-License-Identifier: Apache-2.0
"""Secrets: written, versioned, shaped and removed, in the order in which they run."""

from __future__ import annotations

from esa_conformance.areas.kv import management, shape, versions, writes

AREAS = (writes, versions, shape, management)
