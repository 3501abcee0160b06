# SPDX-License-Identifier: EUPL-1.2
"""The life of the process: start, signals, logs, memory, limits of the operating system."""
