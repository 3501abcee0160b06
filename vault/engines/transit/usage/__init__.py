# SPDX-License-Identifier: EUPL-1.2
"""How often each version of a key was used."""
