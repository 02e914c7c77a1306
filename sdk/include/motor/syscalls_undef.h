/* SPDX-License-Identifier: MIT */
/* Forgets the row macros after one use of syscalls.def; included many times on purpose. */
#undef SYSCALL0
#undef SYSCALL1
#undef SYSCALL2
#undef SYSCALL3
#undef SYSCALL4
#undef SYSCALL5
#undef SYSCALL6
