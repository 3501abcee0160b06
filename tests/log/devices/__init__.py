# SPDX-License-Identifier: EUPL-1.2
"""Devices against receivers on loopback: good ones, and each way in which they fail."""
