# SPDX-License-Identifier: EUPL-1.2
"""Timers: all background work."""
