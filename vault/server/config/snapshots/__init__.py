# SPDX-License-Identifier: EUPL-1.2
"""Backups that the server makes by itself: what can be set of them."""
