# SPDX-License-Identifier: MIT
#
# void __restore_rt(void): where a signal handler returns to when the kernel honours SA_RESTORER,
# as Linux does. The Motor runtime brings a return path of its own. At the entry the signal frame
# is at 8(%rsp).

.text
.hidden __sysinfo
	nop                        # unwinders look up the pc before the return address
.global __restore_rt
.hidden __restore_rt
.type   __restore_rt,@function
__restore_rt:
	mov $15,%edi               # SYS_rt_sigreturn
	call *__sysinfo(%rip)
	hlt
.size __restore_rt,.-__restore_rt
