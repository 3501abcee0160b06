# SPDX-License-Identifier: EUPL-1.2
"""Policy text to rules, in the words of the HCL decoder of OpenBao. It knows of no token and no storage."""
