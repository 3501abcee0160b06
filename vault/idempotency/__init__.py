# SPDX-License-Identifier: EUPL-1.2
"""Requests that are sent again because their answer was lost."""
