# SPDX-License-Identifier: EUPL-1.2
"""nhi: identities of workloads. What needs no server uses packages of the server, which are loaded only then."""
