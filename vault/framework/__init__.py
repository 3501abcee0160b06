# SPDX-License-Identifier: EUPL-1.2
"""The contract that engines are written against."""
