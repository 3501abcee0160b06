# SPDX-License-Identifier: EUPL-1.2
"""Requests and answers: what is sent, how often, how fast, and never in read-only mode."""
