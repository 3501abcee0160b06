# SPDX-License-Identifier: EUPL-1.2
"""What asks an agent: it starts, watches and replaces the process, and never loads a module."""
