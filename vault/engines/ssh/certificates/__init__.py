# SPDX-License-Identifier: EUPL-1.2
"""Certificates: what a role lets one say, and its bytes."""
