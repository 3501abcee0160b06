# SPDX-License-Identifier: EUPL-1.2
"""A run: from the interlock before the first write to the cleanup after the last test."""
