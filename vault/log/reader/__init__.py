# SPDX-License-Identifier: EUPL-1.2
"""The log reader: a process beside the server that follows all logs of a folder, indexes, searches and closes them."""
