# SPDX-License-Identifier: EUPL-1.2
"""Tokens that this server issues: the authority block, its signature by an issuer key, and the row of it."""
