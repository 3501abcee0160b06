# SPDX-License-Identifier: EUPL-1.2
"""Logins with the TLS certificate that a client has shown in its handshake."""
