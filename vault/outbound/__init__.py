# SPDX-License-Identifier: EUPL-1.2
"""Requests that the server itself makes, to addresses that somebody configured: bounded, pinned, verified (SL-77)."""
