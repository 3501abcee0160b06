# SPDX-License-Identifier: EUPL-1.2
"""Who is signed in, and how a page asks `/v1/` for them. It makes no HTML."""
