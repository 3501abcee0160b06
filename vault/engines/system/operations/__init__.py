# SPDX-License-Identifier: EUPL-1.2
"""What operators look at and set: audit devices, log levels, metrics, the host, CORS."""
