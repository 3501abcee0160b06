#!/bin/sh
# SPDX-License-Identifier: EUPL-1.2
# Answers what ssh asks.
echo "$ANSWER"
