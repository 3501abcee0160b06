# SPDX-License-Identifier: EUPL-1.2
"""Logins with the tokens of identity providers: JSON Web Tokens, and OpenID Connect in a browser."""
