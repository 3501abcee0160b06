# SPDX-License-Identifier: EUPL-1.2
"""Caches that follow the epoch."""
