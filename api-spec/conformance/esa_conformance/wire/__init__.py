# SPDX-License-Identifier: Apache-2.0
"""Requests and answers: what is sent, how often, how fast, and never in read-only mode."""
