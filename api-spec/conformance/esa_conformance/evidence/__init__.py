# SPDX-License-Identifier: Apache-2.0
"""What the operator hands over beside the API: files of records and checkpoints, and a program that verifies signatures."""
