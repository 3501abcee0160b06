# SPDX-License-Identifier: EUPL-1.2
"""How long work shares the event loop: in threads, in time slices, under a deadline."""
