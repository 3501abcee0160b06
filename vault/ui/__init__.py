# SPDX-License-Identifier: EUPL-1.2
"""The page for security teams at `/ui/`. It asks `/v1/` as any client would, and sees what its token may see."""
