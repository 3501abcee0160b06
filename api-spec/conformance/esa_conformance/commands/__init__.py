# SPDX-License-Identifier: Apache-2.0
"""What each command of the command line does. Each module is imported when its command is run."""
