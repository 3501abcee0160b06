# SPDX-License-Identifier: EUPL-1.2
"""The parts of a call, each filled in by one stage."""
