# SPDX-License-Identifier: EUPL-1.2
"""Service tokens: store, authenticate, revoke."""
