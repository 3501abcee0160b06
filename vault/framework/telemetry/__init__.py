# SPDX-License-Identifier: EUPL-1.2
"""What operators see of a running server: its log, its metrics, and the requests refused before the pipeline."""
