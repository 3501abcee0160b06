# SPDX-License-Identifier: EUPL-1.2
"""Certificates for pairs of transit: requests for them, and the chains that came of it."""
