# SPDX-License-Identifier: EUPL-1.2
"""Shares in people's hands: splitting, combining, their text forms, OpenPGP, and how far an unseal has come. Pure."""
