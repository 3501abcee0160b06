# SPDX-License-Identifier: EUPL-1.2
"""Tests of hsm against real modules: SoftHSM, NSS and openCryptoki, all of them software."""
