# SPDX-License-Identifier: EUPL-1.2
"""Wrapping and unwrapping the root key: init, unseal, seal."""
