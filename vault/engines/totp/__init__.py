# SPDX-License-Identifier: EUPL-1.2
"""Time-based one-time passwords (RFC 6238): made for others' keys, and checked for our own."""
