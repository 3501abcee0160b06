# SPDX-License-Identifier: EUPL-1.2
"""Namespaces, and the seals of those that have one."""
