# SPDX-License-Identifier: EUPL-1.2
"""Tenants, and what bounds their clients: quotas and lockouts."""
