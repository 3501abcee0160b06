# SPDX-License-Identifier: EUPL-1.2
"""What needs the shares of a threshold of their holders: a root token, new shares, a new root key."""
