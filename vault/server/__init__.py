# SPDX-License-Identifier: EUPL-1.2
"""Composition root: configuration, listeners, lifecycle."""
