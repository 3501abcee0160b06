# SPDX-License-Identifier: EUPL-1.2
"""One suite over every storage: what the contract promises, and what happens when the machine breaks."""
