# SPDX-License-Identifier: EUPL-1.2
"""What can be done with a token without a server: sign, verify, estimate its cost, attenuate, explain.

The library is asked here. Nothing here knows storage.
"""
