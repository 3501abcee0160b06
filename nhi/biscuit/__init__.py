# SPDX-License-Identifier: EUPL-1.2
"""Biscuits: credentials that their holders can restrict and that anybody with the root's public key can check."""
