# SPDX-License-Identifier: Apache-2.0
"""Bindings turn the abstract operations of tests into requests of one dialect."""
