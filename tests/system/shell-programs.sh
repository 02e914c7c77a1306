#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
. "$(dirname "$0")/shell-lib.sh"
