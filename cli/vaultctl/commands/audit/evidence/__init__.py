# SPDX-License-Identifier: EUPL-1.2
"""What proves the log, offline: it uses packages of the server, which are loaded only then."""
