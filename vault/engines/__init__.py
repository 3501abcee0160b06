# SPDX-License-Identifier: EUPL-1.2
"""Secrets engines and sys/."""
