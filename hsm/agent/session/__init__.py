# SPDX-License-Identifier: EUPL-1.2
"""From a module's file to a logged-in session: loading, finding the token, the login and its limits, what errors mean."""
