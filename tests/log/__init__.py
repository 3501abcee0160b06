# SPDX-License-Identifier: EUPL-1.2
"""The log as a whole: what its verifier says of each way to tamper with it, and another program that verifies it."""
