# SPDX-License-Identifier: EUPL-1.2
"""Entries, timers and changes in PostgreSQL, for any number of nodes of which each reads and writes (ADR 0032)."""
