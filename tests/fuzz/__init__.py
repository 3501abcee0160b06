# SPDX-License-Identifier: EUPL-1.2
"""Random and malformed requests against a real server process."""
