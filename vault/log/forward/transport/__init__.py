# SPDX-License-Identifier: EUPL-1.2
"""Connections to receivers, with a deadline for all that is done: addresses, streams, and exchanges of HTTP."""
