# SPDX-License-Identifier: EUPL-1.2
"""Logging in: by token, password, role, certificate, or with a browser."""
