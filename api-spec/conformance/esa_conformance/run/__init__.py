# SPDX-License-Identifier: Apache-2.0
"""A run: from the interlock before the first write to the cleanup after the last test."""
