# SPDX-License-Identifier: EUPL-1.2
"""Kinds of devices: how each sends a batch of records, and how it knows that the receiver has them."""
