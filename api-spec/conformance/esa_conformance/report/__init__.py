# SPDX-License-Identifier: EUPL-1.2
"""Reports: one JSON document, and what is made of it."""
