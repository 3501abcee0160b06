# SPDX-License-Identifier: EUPL-1.2
"""What makes a read that comes again cheap; `docs/repeated-reads.md` shows both ways."""
