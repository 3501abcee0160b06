# SPDX-License-Identifier: EUPL-1.2
"""Encryption between transactions and storage."""
