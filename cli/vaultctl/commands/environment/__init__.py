# SPDX-License-Identifier: EUPL-1.2
"""Secrets as environment variables: for a program that is started, and in `.env` files."""
