# SPDX-License-Identifier: EUPL-1.2
"""Wrapping and unwrapping the root key: init, unseal, seal.

`shares` computes, `records` reads and writes rows, `changes` changes the slots of an open vault, `consent` does so with the
shares of those who hold them. `lifecycle` is the state machine over all of it.
"""
