#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Kernel entries, address-space switches, interrupts, faults and copied bytes of single calls and of an HTTP request, against
# bench/counts.txt: none may grow.
exec "$MOTOR_TOP/bench/bench" --counts check
