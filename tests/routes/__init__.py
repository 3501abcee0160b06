# SPDX-License-Identifier: EUPL-1.2
"""Tests that are generated from the declarations of every engine."""
