# SPDX-License-Identifier: EUPL-1.2
"""Ours beside OpenBao on one PostgreSQL."""
