# SPDX-License-Identifier: EUPL-1.2
"""A private store per token."""
