# SPDX-License-Identifier: EUPL-1.2
"""Unit tests of the mount table."""
