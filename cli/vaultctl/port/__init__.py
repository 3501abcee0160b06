# SPDX-License-Identifier: EUPL-1.2
"""Moving between vaults over their API: what is read of one, how it is kept and compared, how it is written to another."""
