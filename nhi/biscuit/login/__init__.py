# SPDX-License-Identifier: EUPL-1.2
"""How a workload proves that it is the one of a registration.

Key sets and clusters are asked from here. No token is issued here.
"""
