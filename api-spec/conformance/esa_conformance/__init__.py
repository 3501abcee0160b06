# SPDX-License-Identifier: Apache-2.0
"""A conformance suite for the European Secrets API: it asks a server over HTTP and says what holds.

The way of a run: `manifest` says what to judge and with what; `run.interlock` makes sure that it is that server;
`run.runner` runs the tests of `areas` one after the other, which speak abstract operations that `binding` turns into
requests and `wire` sends; `run.cleanup` removes what was made; `report` says what was found.

Only the standard library is needed, and nothing of any server is known.
"""

from __future__ import annotations

__version__ = "1.0.0"
SPEC = "1.0"
"""The version of the specification that is judged."""
