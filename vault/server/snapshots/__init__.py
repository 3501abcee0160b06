# SPDX-License-Identifier: EUPL-1.2
"""Backups that the server makes by itself: when, where to, what of them stays, and what is told of them."""
