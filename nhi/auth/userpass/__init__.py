# SPDX-License-Identifier: EUPL-1.2
"""userpass: people log in with a name and a password."""
