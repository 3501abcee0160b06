# SPDX-License-Identifier: EUPL-1.2
"""Quotas: how many requests each client may make."""
