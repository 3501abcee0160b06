# SPDX-License-Identifier: EUPL-1.2
"""KV version 1 and version 2."""
