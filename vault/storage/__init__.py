# SPDX-License-Identifier: EUPL-1.2
"""Transactional storage: protocol, memory, SQLite."""
