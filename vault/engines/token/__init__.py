# SPDX-License-Identifier: EUPL-1.2
"""`auth/token`: tokens are issued, looked up, renewed and revoked."""
