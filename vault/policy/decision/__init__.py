# SPDX-License-Identifier: EUPL-1.2
"""What compiled rules say of an operation on a path. Pure functions: no storage, no request."""
