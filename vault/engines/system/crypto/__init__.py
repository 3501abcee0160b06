# SPDX-License-Identifier: EUPL-1.2
"""`sys/crypto/inventory`: each key that the server has in use."""
