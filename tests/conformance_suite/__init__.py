# SPDX-License-Identifier: EUPL-1.2
"""Tests of the conformance suite: of its parts, on two servers, and on servers with faults."""
