# SPDX-License-Identifier: EUPL-1.2
"""The release of OpenBao whose API this is."""

from __future__ import annotations

from typing import Final

VERSION: Final = "2.7.2"
"""Clients switch features on it (`docs/adr/0004-version.md`)."""

COMMIT_DATE: Final = "2026-10-26T20:32:27Z"
"""When that release was made: `sys/version-history` and `sys/seal-status` tell it."""
