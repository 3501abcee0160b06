# SPDX-License-Identifier: EUPL-1.2
"""Keys: their kinds, what is stored of them, those in use, and how they leave. No route is known here."""
