# SPDX-License-Identifier: EUPL-1.2
"""What is rendered from routes: the help on a path, and the OpenAPI document."""
