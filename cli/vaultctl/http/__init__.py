# SPDX-License-Identifier: EUPL-1.2
"""How a server is reached, with what token, and what its refusals mean. Everything that goes over the network is here."""
