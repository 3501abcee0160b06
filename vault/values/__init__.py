# SPDX-License-Identifier: EUPL-1.2
"""Types of plain values that must not be taken for one another: times by their unit, ids by what they name."""
