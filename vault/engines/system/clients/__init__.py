# SPDX-License-Identifier: EUPL-1.2
"""What any client with a token may use: leases, wrapped responses, tools."""
