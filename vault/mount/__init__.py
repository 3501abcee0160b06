# SPDX-License-Identifier: EUPL-1.2
"""The mount table and the router."""
