# SPDX-License-Identifier: EUPL-1.2
"""The process that loads a vendor's PKCS#11 module. Only this room and those inside it may import `pkcs11`."""
