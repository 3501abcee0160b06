# SPDX-License-Identifier: EUPL-1.2
"""Leases: what the vault made in other systems, until when, and how it is taken back."""
