# SPDX-License-Identifier: EUPL-1.2
"""Namespaces: tenants within tenants."""
