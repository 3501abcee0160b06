# SPDX-License-Identifier: EUPL-1.2
"""Roles whose programs decide, in the Common Expression Language: what they are, and where they run."""
