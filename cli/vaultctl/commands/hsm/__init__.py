# SPDX-License-Identifier: EUPL-1.2
"""hsm: work on a token that is attached to this machine, through the package `hsm`, which is loaded only then."""
