# SPDX-License-Identifier: EUPL-1.2
"""HCL 1 and its JSON form, the language of policies and of the configuration. It imports nothing else of ours."""
