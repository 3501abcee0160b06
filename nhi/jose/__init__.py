# SPDX-License-Identifier: EUPL-1.2
"""JSON Web Tokens that others sign: their signatures, and the claims that RFC 7519 names."""
