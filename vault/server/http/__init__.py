# SPDX-License-Identifier: EUPL-1.2
"""Connections: sockets, TLS, HTTP/1.1, and what one listener adds to the application. Knows no engine and no key."""
