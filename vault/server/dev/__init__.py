# SPDX-License-Identifier: EUPL-1.2
"""The development server: unsealed at once, on loopback, never for production."""
