# SPDX-License-Identifier: EUPL-1.2
"""Why a service could not be asked."""

from __future__ import annotations


class Unreachable(Exception):
    """No usable answer. The text says why, in words that repeat neither addresses nor what came back."""
