# SPDX-License-Identifier: EUPL-1.2
"""`sys/tools`: random bytes and hashes, for clients without sources of their own."""

from __future__ import annotations

from typing import Final

from vault.framework.tools.routes import tool_engine

ToolEngine: Final = tool_engine("tools/", events="sys", contained=False, input_required=False)
