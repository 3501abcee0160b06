# SPDX-License-Identifier: EUPL-1.2
"""Bindings turn the abstract operations of tests into requests of one dialect."""
