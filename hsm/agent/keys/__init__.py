# SPDX-License-Identifier: EUPL-1.2
"""What is done with the keys of a token on an open session: find, make, prove, wrap, sign."""
