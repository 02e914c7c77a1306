/* SPDX-License-Identifier: MIT */
/* Names of calls.def that no file defines: they count as missing. */
.text
#define CALL(number, name, ...) .weak px_sys_##name; .hidden px_sys_##name; .type px_sys_##name, @function; px_sys_##name:
#define NONE(number, name, error)
#define GAP(from, to)
#include "calls.def"
	jmp px_missing
.hidden px_missing
.section .note.GNU-stack, "", @progbits
