# SPDX-License-Identifier: EUPL-1.2
"""The stock Biscuit library on a busy machine: by itself it gives a check one millisecond of the clock."""

from datetime import timedelta

from biscuit_auth import AuthorizerBuilder


def patient(builder: AuthorizerBuilder) -> AuthorizerBuilder:
    """Let a verifier's checks take as long as a busy machine needs, and as much as the largest test asks."""
    limits = builder.limits()  # type: ignore[attr-defined]  # its stub is older than itself
    limits.max_time, limits.max_facts, limits.max_iterations = timedelta(seconds=20), 10_000, 1000
    builder.set_limits(limits)  # type: ignore[attr-defined]  # its stub is older than itself
    return builder
