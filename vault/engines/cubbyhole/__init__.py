# SPDX-License-Identifier: EUPL-1.2
"""Cubbyhole: a place of its own for each token, gone with it."""
