# SPDX-License-Identifier: EUPL-1.2
"""Codecs between Call and HTTP."""
