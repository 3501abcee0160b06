# SPDX-License-Identifier: EUPL-1.2
"""The log: what was asked of the vault, by whom, and why it was allowed, so that nobody can rewrite it unnoticed."""
