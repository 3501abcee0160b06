# SPDX-License-Identifier: EUPL-1.2
"""The index of the log: what of each record it has, in blocks, and the file that keeps them."""
