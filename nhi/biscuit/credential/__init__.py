# SPDX-License-Identifier: EUPL-1.2
"""A Biscuit on a request: whose it is, whether it is good now, and what its checks allow.

It reads rows, and writes those of the chains that it sees first.
"""
