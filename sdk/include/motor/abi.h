/* SPDX-License-Identifier: MIT */
/*
 * The Motor ABI: what the kernel and everything above it agree on. Included by both sides;
 * freestanding; fixed-width; layouts are asserted. Nothing here may change meaning once released.
 *
 * Objects and handles. A process names kernel objects by handles, small positive integers valid in
 * that process only, each with rights. Kinds: process, thread, memory object (vmo), endpoint, gate,
 * interrupt, hardware (the right to touch devices; the first process alone is given it).
 *
 * Endpoint and gate. A server receives on an endpoint. It mints gates, each with a 64-bit badge,
 * and gives gate handles to clients; each message arrives with the badge of the gate it was sent
 * through. When the last handle to a gate goes (closed, or its holder died), the server receives
 * MOTOR_EVENT_CLOSED with the badge, before any call that comes later. A gate also carries
 * notifications: a post marks the gate pending; the server receives one MOTOR_EVENT_NOTIFY with the
 * badge however many posts there were. Interrupts and exits notify a gate bound to them.
 */
#ifndef MOTOR_ABI_H
#define MOTOR_ABI_H

#include <stddef.h>
#include <stdint.h>

#define MOTOR_ABI_VERSION  1
#define MOTOR_PAGE_SIZE    4096u
/* above every Linux number, so that `syscall` can tell them apart */
#define MOTOR_SYSCALL_BASE 0x4d000000u
#define MOTOR_NEVER        UINT64_MAX /* a deadline that never comes. Deadlines: ns of CLOCK_MONOTONIC */

typedef uint32_t motor_handle; /* 0 is never a handle: it means "this process/thread" or "none" */

/* Status codes; system calls return them negated. */
enum motor_error {
#define X(name, value, text) name = value,
#include <motor/errors.def>
#undef X
};

/* Rights of a handle. */
#define MOTOR_RIGHT_READ     (1u << 0) /* map or read; receive */
#define MOTOR_RIGHT_WRITE    (1u << 1) /* map writable or write; mint gates */
#define MOTOR_RIGHT_EXEC     (1u << 2) /* map executable */
#define MOTOR_RIGHT_CALL     (1u << 3) /* call and notify through a gate */
#define MOTOR_RIGHT_DUP      (1u << 4) /* duplicate, install elsewhere, send in a message */
#define MOTOR_RIGHT_MANAGE   (1u << 5) /* process and thread control; resize, decommit, bind */
#define MOTOR_RIGHT_INSTALL  (1u << 6) /* install handles into this process */
#define MOTOR_RIGHTS_ALL     0x7fu
#define MOTOR_HANDLE_CLOEXEC (1u << 31) /* flag beside rights: process_exec drops the handle */

#define MOTOR_HANDLES_MAX   (1u << 20) /* handles in one process */
#define MOTOR_WAKE_LIST_MAX 256u

/* ---- memory ---- */

/* map() and protect() flags */
#define MOTOR_PROT_READ     (1u << 0)
#define MOTOR_PROT_WRITE    (1u << 1)
#define MOTOR_PROT_EXEC     (1u << 2)
#define MOTOR_PROT_MASK     7u
/* copy-on-write over the object; anonymous memory always is */
#define MOTOR_MAP_PRIVATE   (1u << 3)
#define MOTOR_MAP_FIXED     (1u << 4) /* exactly at address, replacing what is there */
#define MOTOR_MAP_NOREPLACE (1u << 5) /* exactly at address, MOTOR_EEXIST if something is there */
#define MOTOR_MAP_STACK     (1u << 6) /* lazy, with an unmapped guard page below */
#define MOTOR_MAP_POPULATE  (1u << 7) /* commit now */
#define MOTOR_MAP_NOFORK    (1u << 8) /* a forked child does not get it */
#define MOTOR_MAP_WIPEFORK  (1u << 9) /* a forked child gets zeros; anonymous memory only */
/* a pager's own mapping of its object: its faults ask nobody; needs the right to manage it */
#define MOTOR_MAP_PAGER     (1u << 10)
/*
 * anonymous memory that begins with bytes of the caller's: `offset` is their address, and their
 * number the length, which need not be that of whole pages
 */
#define MOTOR_MAP_COPY      (1u << 11)
/*
 * W^X: WRITE and EXEC together are refused with MOTOR_EACCESS. Without FIXED or NOREPLACE, a
 * non-zero address is a hint.
 */

/* remap() flags */
#define MOTOR_REMAP_MAYMOVE (1u << 0)
#define MOTOR_REMAP_FIXED   (1u << 1)

/* advise() */
/* private pages are dropped and read as zero (or the object's bytes) again */
#define MOTOR_ADVISE_DONTNEED 1u
#define MOTOR_ADVISE_POPULATE 2u
#define MOTOR_ADVISE_FREE     3u /* like DONTNEED now */
/* MOTOR_MAP_NOFORK and MOTOR_MAP_WIPEFORK of a range, set and cleared */
#define MOTOR_ADVISE_NOFORK   4u
#define MOTOR_ADVISE_FORK     5u
#define MOTOR_ADVISE_WIPEFORK 6u
#define MOTOR_ADVISE_KEEPFORK 7u
/* shared mappings of paged objects: their pagers keep what was written (MOTOR_PAGER_SYNC); EGONE:
 * they could not */
#define MOTOR_ADVISE_SYNC     8u

/* vmo_create() flags */
/* committed at once, physically contiguous (queues of devices); at most 2 MiB */
#define MOTOR_VMO_CONTIGUOUS (1u << 0)
/* its pages are brought by a pager: bind() it to the pager's gate. See "Pagers" below */
#define MOTOR_VMO_PAGED      (1u << 1)
/* vmo_create_physical() flags */
#define MOTOR_VMO_UNCACHED   (1u << 0)

/* vmo_control() operations. Offsets and lengths in bytes; page-granular but for READ and WRITE. */
#define MOTOR_VMO_GET_SIZE  0u /* result: size */
#define MOTOR_VMO_RESIZE    1u /* length: new size; pages beyond are freed and unmapped everywhere */
#define MOTOR_VMO_DECOMMIT  2u /* free the pages of a range; they read as zero again */
#define MOTOR_VMO_COMMIT    3u /* allocate the pages of a range */
#define MOTOR_VMO_READ      4u /* copy object -> buffer; result: bytes */
#define MOTOR_VMO_WRITE     5u /* copy buffer -> object; result: bytes */
/*
 * commit and pin the range; buffer: uint64_t physical address of each page. Needs the hardware
 * right of the process (the holder of a hardware handle)
 */
#define MOTOR_VMO_PHYSICAL  6u
#define MOTOR_VMO_COMMITTED 7u /* result: bytes committed */
/* of paged objects, for their pager: */
#define MOTOR_VMO_SUPPLY    8u /* whole pages from buffer take the place of absent ones */
#define MOTOR_VMO_ALLOW     9u /* mappings may write the page at offset, until it is cleaned */
/* nobody writes the pages of a range any more (at most 64) without asking again */
#define MOTOR_VMO_CLEAN     10u
#define MOTOR_VMO_USERS     11u /* result: mappings and handles, but for the pager's own */
#define MOTOR_VMO_MAPPINGS  12u /* result: how many mappings there are, in all processes */
/*
 * for good: no call writes to it, and nobody maps it so that he could. length 0: who has it mapped
 * goes on; 1: EBUSY if somebody has it mapped shared and may write
 */
#define MOTOR_VMO_SEAL      13u
/*
 * offset: a handle with INSTALL. That process pays for the object's pages, like for those of its
 * own objects. EEXIST: somebody pays already; ENOMEM: over the process's limit
 */
#define MOTOR_VMO_CHARGE    14u
/*
 * of paged objects, for their pager, which a device fills pages for: absent pages of a range (at
 * most 64) get memory whose bytes are anything; they stay absent to everybody. buffer: uint64_t
 * physical address of each; result: how many, up to one that is not absent or has no memory. Needs
 * the hardware right. DECOMMIT takes them back, too: not before the device has finished
 */
#define MOTOR_VMO_PREPARE   15u
#define MOTOR_VMO_FILLED    16u /* of a range (at most 64): these are there now */

/*
 * Pagers. Whoever touches an absent page of a paged object calls its gate, and touches it again
 * after the answer: MOTOR_PAGER_FETCH, word 0: the page's offset, word 1: 1 when it is to be
 * written. The status is 0, -MOTOR_EGONE (it cannot be had: the thread gets SIGBUS) or
 * -MOTOR_ENOMEM. The gate is notified when the last mapping but the pager's own has gone.
 *
 * MOTOR_PAGER_RECLAIM comes through the gate that MOTOR_PSET_RECLAIM names, when a program finds no
 * memory: word 0 pages are wanted; the status is how many were given back. The same gate is
 * notified now and then while memory is short.
 */
#define MOTOR_PAGER_FETCH   0x50000001u
#define MOTOR_PAGER_RECLAIM 0x50000002u
/* MOTOR_ADVISE_SYNC: what was written to the object is to be durable; -MOTOR_EGONE: it is not */
#define MOTOR_PAGER_SYNC    0x50000003u

/* ---- threads ---- */

struct motor_thread_start {
    uint64_t rip;
    uint64_t rsp;
    uint64_t arg[3]; /* rdi, rsi, rdx */
    /* rbx, rbp, r12, r13, r14, r15: a clone child continues in its parent's frame */
    uint64_t regs[6];
    uint64_t fs_base;
    uint64_t gs_base; /* also the address of its struct motor_tcb, 0 if it takes no upcalls */
    uint64_t flags;   /* MOTOR_THREAD_* */
};
/* in a process made from the template: rip, rsp, regs and bases are those that came with it */
#define MOTOR_THREAD_FROM_TEMPLATE (1u << 0)
#define MOTOR_THREAD_NO_HANDLE     (1u << 1) /* thread_create(): the result is 0 */

/* thread_control() */
/* end its wait with MOTOR_EINTR, or upcall it; sticky until taken (see motor_tcb) */
#define MOTOR_THREAD_INTERRUPT    1u
#define MOTOR_THREAD_SET_FS       2u /* own thread only */
#define MOTOR_THREAD_SET_GS       3u /* own thread only; also moves its motor_tcb */
#define MOTOR_THREAD_SET_AFFINITY 4u /* value: CPU bit mask (CPUs 0..63) */
#define MOTOR_THREAD_GET_AFFINITY 5u
#define MOTOR_THREAD_GET_CPU_TIME 6u /* result: ns this thread has run */
/* own thread: clear the sticky interruption; result: the MOTOR_UPCALL_* bits that were set */
#define MOTOR_THREAD_ACK          7u
/* value 0..39, 20 normal, smaller is more urgent (as nice + 20) */
#define MOTOR_THREAD_SET_PRIORITY 8u
#define MOTOR_THREAD_GET_HANDLE   9u /* own thread: a new handle to it, all rights */
/*
 * Own thread: the user and group by which its calls judge files (motor_event.fsuid, fsgid). Root
 * chooses any, others one of the process's. Result: the one before, whether it has changed or not.
 * Threads and forked children inherit it; exec, and a change of the process's own by this thread
 * (MOTOR_PSET_UIDS, _GIDS), end it. Not while it acts for an embryo
 */
#define MOTOR_THREAD_SET_FSUID    10u
#define MOTOR_THREAD_SET_FSGID    11u

/*
 * Upcalls. A thread started with a gs_base has a thread control block there, whose first part is
 * this: written by the kernel as marked [K], by the thread as marked [U].
 *
 * Interruption (INTERRUPT, process timer, process signal): the kernel sets the reason bits in its
 * own sticky word and in `pending`. Then: if the thread is in an interruptible wait, the wait ends
 * with MOTOR_EINTR (and any wait begun while the sticky word is non-zero ends so at once). Else, at
 * its next return to user mode, if `busy` is 0, the kernel stores the thread's registers in
 * `context`, sets `busy` to 1, and continues it at the process's upcall entry with rsp =
 * upcall_stack, rdi = the reason bits, rsi = 0. If `busy` is not 0 nothing more happens: the
 * runtime looks at `pending` before it clears `busy`, and takes the bits with MOTOR_THREAD_ACK.
 * TIMER and SIGNAL bits that a thread had not taken when it ended go to another thread of its
 * process.
 *
 * Fault (page fault, general protection, divide error, ...): as above, at once, reason
 * MOTOR_UPCALL_FAULT, with `fault` filled, when busy is 0 or 1 (1 means "inside the runtime": the
 * runtime decides by the RIP: a guarded copy is resumed at its fix-up, else the program dies); the
 * kernel then sets busy to 2. A fault when busy is 2 or the block is not writable ends the process
 * with the fault's signal.
 */
#define MOTOR_UPCALL_INTERRUPT (1u << 0)
#define MOTOR_UPCALL_TIMER     (1u << 1)
/* a signal from another process waits in the process object */
#define MOTOR_UPCALL_SIGNAL    (1u << 2)
#define MOTOR_UPCALL_STOP      (1u << 3) /* the process stops */
#define MOTOR_UPCALL_FAULT     (1u << 8)

struct motor_context { /* integer registers of a thread in user mode */
    uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp;
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
    uint64_t rip, rflags;
};
_Static_assert(sizeof(struct motor_context) == 144, "ABI");

struct motor_fault {
    uint64_t address; /* CR2 for page faults, else rip */
    uint32_t vector;  /* x86 exception number */
    uint32_t error;   /* x86 error code */
    /*
     * MOTOR_E* why a page could not be had: ENOENT not mapped, EACCESS protection, ENOMEM, EGONE
     * beyond the object's end (SIGBUS)
     */
    uint32_t status;
    uint32_t reserved;
};

struct motor_tcb {
    uint64_t self; /* [U] its own address: %gs:0 */
    /* [KU] 0: program code runs; 1: runtime code runs; 2: an upcall for a fault runs */
    uint32_t busy;
    uint32_t pending;      /* [K] reason bits not yet taken (a copy of the kernel's sticky word) */
    uint64_t upcall_stack; /* [U] top of the stack for upcalls, 16-byte aligned */
    /*
     * [K] set to 0 when the thread ends itself and will not run in user mode again: the block is
     * free
     */
    uint32_t alive;
    /* [U] its name in the words of locks, and for /proc */
    uint32_t tid;
    /* [U] what /proc shows of the thread; the kernel does not look */
    char name[16];
    int32_t nice;
    uint32_t policy; /* Linux SCHED_* << 8 | priority */
    /*
     * [U] address of a list as of set_robust_list(2), 0: none. When the thread ends, or its process
     * execs, the kernel marks the locks there whose word has its tid as their dead owner's
     */
    uint64_t robust_list;
    struct motor_context context; /* [K] where the upcall interrupted; at offset 64 */
    struct motor_fault fault;     /* [K] */
};
_Static_assert(offsetof(struct motor_tcb, busy) == 8 && offsetof(struct motor_tcb, pending) == 12,
               "ABI");
_Static_assert(offsetof(struct motor_tcb, upcall_stack) == 16, "ABI");
_Static_assert(offsetof(struct motor_tcb, context) == 64, "ABI");
_Static_assert(sizeof(struct motor_tcb) == 232, "ABI");

/* ---- processes ---- */

/*
 * Family. A process created with MOTOR_PROCESS_CHILD, or by process_fork(), has its creator as
 * parent: it counts for its user's process limit, stays as a zombie until the parent has waited for
 * it, and the parent gets SIGCHLD. When the parent dies its children go to the nearest living
 * ancestor that is a subreaper, else to init (MOTOR_PROCESS_INIT), else to the first process, which
 * reaps at once.
 */
#define MOTOR_PROCESS_CHILD         (1u << 0) /* process_create(): a child of the caller */
#define MOTOR_PROCESS_INIT          (1u << 1) /* the same; first process only: it gets pid 1 */
/*
 * It begins with a copy of the template's memory, and its entries, instead of with nothing; further
 * mappings are placed at random anew. ENOENT: there is no template yet.
 */
#define MOTOR_PROCESS_FROM_TEMPLATE (1u << 2)
/*
 * As long as it has not started, the calling thread acts for it (vfork): the thread's calls carry
 * its labels and its user, and its signals come from it. One at a time: the last.
 */
#define MOTOR_PROCESS_ACT_FOR       (1u << 3)
#define MOTOR_PROCESS_TELL_PID      (1u << 4) /* the upper half of the result is its pid */

/* process_set() */
#define MOTOR_PSET_UPCALL_ENTRY 1u /* address of the upcall entry (own process or an embryo) */
/* where `syscall` with a foreign number continues; rcx = return rip, r11 = rflags */
#define MOTOR_PSET_LINUX_ENTRY  2u
#define MOTOR_PSET_UID          3u /* root only: real, effective and saved at once */
#define MOTOR_PSET_GID          4u
/* 5 and 6 were groups and sessions: see process_label() */
/* bytes of committed private memory, and of memory objects that it makes; MOTOR_NEVER: none */
#define MOTOR_PSET_MEMORY_LIMIT 7u
#define MOTOR_PSET_NAME         8u /* value: address of a NUL-terminated name, 31 bytes are kept */

/*
 * value: address of uint32_t[3]: real, effective, saved. Root sets any, others may permute what
 * they have (EPERM). The effective one is what servers see; signals are judged by all.
 */
#define MOTOR_PSET_UIDS          9u
#define MOTOR_PSET_GIDS          10u
#define MOTOR_PSET_CHILD_FLAGS   11u /* MOTOR_CHILD_*: what the death and stop of children mean */
#define MOTOR_PSET_DEATH_SIGNAL  12u /* a signal that comes when the parent dies; 0: none */
#define MOTOR_PSET_SUBREAPER     13u /* 1: orphaned descendants become children of this process */
#define MOTOR_PSET_PROCESS_LIMIT 14u /* processes of its real user, for its own fork and create */
#define MOTOR_PSET_SIGNAL_LIMIT  15u /* signals that may be queued for it */
/*
 * value: address of what the process tells about itself (struct motor_about in <motor/start.h>), 0:
 * nothing; fork inherits it, exec sets 0. Kept as it is: who reads it trusts nothing there
 */
#define MOTOR_PSET_ABOUT         16u
/* value: a gate, see "Pagers"; once, by the first process for itself */
#define MOTOR_PSET_RECLAIM       17u
/*
 * value: address of a struct motor_thread_start. This process's memory as it is now, but for what
 * has MOTOR_MAP_NOFORK, its upcall and Linux entries, MOTOR_PSET_ABOUT, and that start become the
 * system's template, from which processes are made that have what is the same in all of them from
 * the beginning. The first one remains for as long as the system runs (EEXIST), so whoever programs
 * get their runtime from makes it before any program has run. Own process only.
 */
#define MOTOR_PSET_TEMPLATE      18u
/*
 * bytes of the memory objects and lists of groups that it makes, or is charged for;
 * MOTOR_PSET_MEMORY_LIMIT sets it, too. A page of a sparse object can cost two more in tables,
 * which nobody is charged for
 */
#define MOTOR_PSET_OBJECT_LIMIT  19u
/*
 * value: address of a struct motor_robust_words, 0: none; of the process itself. When the process
 * ends or execs, and before its parent can wait for it, the kernel sets MOTOR_ROBUST_GONE in each
 * of these words and wakes who sleeps on it (MOTOR_FUTEX_SHARED). fork and exec set 0
 */
#define MOTOR_PSET_ROBUST_WORDS  20u
/*
 * value: address of a struct motor_memory_write: bytes of the caller's into the process's memory,
 * where a mapping lets it write. Result: how many; EFAULT: none, EGONE: it is dead
 */
#define MOTOR_PSET_MEMORY        21u
/* 1, for good, of its descendants as well: no answer of a call changes its ids (MOTOR_REPLY_EXEC)
 */
#define MOTOR_PSET_NO_NEW_PRIVS  22u
/*
 * 1: MOTOR_PROCESS_SECRET; fork inherits it, exec sets it as the ids say, and another effective
 * user or group sets it
 */
#define MOTOR_PSET_SECRET        23u
/*
 * for the first process only: a number that comes with every call of the process, and of its
 * descendants made from then on; 0 at first. The fs engine's name for what `/` is to them
 */
#define MOTOR_PSET_ROOT          24u
/*
 * value: address of a struct motor_groups: `count` supplementary groups at `gid`, ascending. Root
 * only (EPERM). EINVAL: more than MOTOR_GROUPS_MAX, not ascending, or ~0 among them. fork and exec
 * keep them. Result: the list's number, which no other list ever has; 0: no groups
 */
#define MOTOR_PSET_GROUPS        25u
#define MOTOR_ROBUST_GONE        (1u << 31)
#define MOTOR_ROBUST_WORDS_MAX   511u
#define MOTOR_CHILD_AUTO_REAP    (1u << 0) /* no zombies: SIGCHLD ignored, or SA_NOCLDWAIT */
#define MOTOR_CHILD_NO_STOP      (1u << 1) /* no SIGCHLD for stop and continue: SA_NOCLDSTOP */

#define MOTOR_GROUPS_MAX 65536u

/* MOTOR_PSET_GROUPS, MOTOR_PINFO_GROUPS */
struct motor_groups {
    uint64_t id; /* out: the list's number */
    uint32_t *gid;
    uint32_t count; /* PINFO, in: room at gid; out: how many there are */
    uint32_t reserved;
};

struct motor_memory_write {
    uint64_t address; /* in the process */
    const void *from;
    uint64_t size; /* at most 64 KiB (EINVAL) */
};

struct motor_robust_words {
    uint64_t count;                        /* entries to look at, at most MOTOR_ROBUST_WORDS_MAX */
    uint64_t word[MOTOR_ROBUST_WORDS_MAX]; /* their addresses; 0: none */
};

/* process_label(): who belongs where. pid 0: the caller */
#define MOTOR_LABEL_PPID      0u
#define MOTOR_LABEL_PGID      1u
#define MOTOR_LABEL_SID       2u
/*
 * value: the group, 0: its own pid. Of oneself or of a child that has not exec'd (EACCESS); within
 * one session, to an existing group of it or a new one, and never of a session leader (EPERM).
 * ENOENT: no such process, or not a child.
 */
#define MOTOR_LABEL_SET_PGID  3u
/* a new session; EPERM for the leader of a group. Of oneself, or of a child not yet started */
#define MOTOR_LABEL_SET_SID   4u
#define MOTOR_LABEL_GROUP_SID 5u /* pid: a group; ENOENT: it has no member */
/* 1: nobody in its session but outside its group could continue the process once stopped */
#define MOTOR_LABEL_ORPHANED  6u
/* 1; 0: a zombie. Whether somebody who holds a lock in shared memory will ever release it */
#define MOTOR_LABEL_ALIVE     7u

/* process_wait(): which children */
#define MOTOR_WAIT_ANY       0u
#define MOTOR_WAIT_PID       1u
#define MOTOR_WAIT_GROUP     2u
/* what of them, and how */
#define MOTOR_WAIT_EXITED    (1u << 0)
#define MOTOR_WAIT_STOPPED   (1u << 1)
#define MOTOR_WAIT_CONTINUED (1u << 2)
#define MOTOR_WAIT_NOHANG    (1u << 3)
#define MOTOR_WAIT_KEEP      (1u << 4) /* look only: it can be waited for again */

struct motor_wait {
    uint32_t pid;                /* 0: none is ready (NOHANG) */
    uint32_t uid;                /* real */
    uint32_t code;               /* Linux CLD_*: 1 exited, 2 killed, 5 stopped, 6 continued */
    uint32_t status;             /* exit code or signal */
    uint64_t user_ns, system_ns; /* with its own waited-for children */
    uint64_t memory_max;         /* bytes: most private memory it has had */
    uint64_t reserved;
};
_Static_assert(sizeof(struct motor_wait) == 48, "ABI");

/*
 * A signal as it travels: the first 48 bytes of Linux's siginfo_t. `thread`, where Linux has
 * padding: a hint for the receiving runtime, 0: the process.
 */
struct motor_signal {
    int32_t signo, error, code;
    uint32_t thread;
    uint64_t data[4];
};
_Static_assert(sizeof(struct motor_signal) == 48, "ABI");

/* signal_send(): to whom */
#define MOTOR_TO_PROCESS 0u /* id: a pid */
#define MOTOR_TO_GROUP   1u /* id: a group; 0: the caller's */
#define MOTOR_TO_ALL     2u /* all but the caller, init and the first process */

/*
 * process_info(). Where a structure is marked "in", it is read before it is filled. BASIC, THREADS,
 * REGIONS and GROUPS need a handle with READ, MEMORY, GATE and THREAD one with MANAGE.
 */
#define MOTOR_PINFO_BASIC   1u /* struct motor_process_info */
/*
 * array of struct motor_thread_info, by ascending id from [0].id (in) on; result: how many, 0:
 * there are no more. size: a multiple of the structure's
 */
#define MOTOR_PINFO_THREADS 2u
/* array of struct motor_region_info, likewise, of what ends above [0].start (in) */
#define MOTOR_PINFO_REGIONS 3u
/*
 * bytes of its memory at the address that the first 8 bytes of the buffer hold (in); result: how
 * many could be read; EFAULT: none, EGONE: it is dead. At most 64 KiB (EINVAL)
 */
#define MOTOR_PINFO_MEMORY  4u
/* struct motor_gate_info: what a handle of the process is to an endpoint of the caller */
#define MOTOR_PINFO_GATE    5u
/* uint32_t, in: a thread's id, as THREADS gives it; result: a handle to it, all rights; ENOENT */
#define MOTOR_PINFO_THREAD  6u
/* struct motor_groups, in: the supplementary groups; none are stored where not all have room */
#define MOTOR_PINFO_GROUPS  7u

struct motor_process_info {
    uint32_t pid, ppid, pgid, sid;
    uint32_t uid, gid;
    uint32_t state; /* 0 embryo, 1 running, 2 dead */
    /*
     * as given to process_exit; for a death by fault: signal number in bits 0..6 (wait status
     * encoding)
     */
    uint32_t status;
    uint32_t threads, handles;
    uint64_t memory_private; /* bytes of committed private memory and page tables */
    uint64_t memory_virtual; /* bytes mapped */
    uint64_t user_ns, system_ns;
    uint64_t start_ns;
    char name[32];
    uint32_t ruid, suid, rgid, sgid;
    uint32_t stopped;                              /* the signal that stopped it, 0: not stopped */
    uint32_t flags;                                /* MOTOR_PROCESS_SECRET, _NO_NEW_PRIVS */
    uint64_t children_user_ns, children_system_ns; /* of those waited for */
    uint64_t memory_max, children_memory_max;      /* bytes of private memory at most */
    uint64_t about;                                /* MOTOR_PSET_ABOUT */
    uint32_t root, reserved;                       /* MOTOR_PSET_ROOT */
};

/*
 * nobody but root is to look into it, though he has the same ids: it has, or had, those of a file,
 * or its effective ones were others when this program began
 */
#define MOTOR_PROCESS_SECRET       (1u << 8)
#define MOTOR_PROCESS_NO_NEW_PRIVS (1u << 9) /* MOTOR_PSET_NO_NEW_PRIVS */

struct motor_thread_info {
    uint32_t id; /* the kernel's; in [0]: the lowest wanted */
    uint32_t cpu;
    uint32_t blocked;  /* 0: runs or could */
    uint32_t priority; /* MOTOR_THREAD_SET_PRIORITY */
    uint64_t run_ns;
    uint64_t tcb; /* address of its struct motor_tcb; 0: none */
};

struct motor_region_info {
    uint64_t start, end; /* in [0]: start */
    uint64_t offset;     /* in the object */
    uint32_t flags;      /* MOTOR_PROT_*, MOTOR_MAP_PRIVATE */
    uint32_t object;     /* 1: maps an object, 0: anonymous memory */
};

struct motor_gate_info {
    motor_handle handle;   /* in: of the process */
    motor_handle endpoint; /* in: of the caller, with READ */
    uint64_t badge;        /* of the gate; ETYPE: the handle is no gate of that endpoint */
};

/* Exit status: the wait status encoding of Linux, (code & 255) << 8, or the signal number. */

/* ---- messages ---- */

#define MOTOR_MSG_WORDS   6u
#define MOTOR_MSG_HANDLES 4u
#define MOTOR_MSG_INLINE  256u /* bytes of `in` that arrive with the event itself */

/* What a client fills for call(), and finds changed by the reply. */
struct motor_msg {
    uint32_t op;       /* to the server, as is */
    uint32_t nhandles; /* in: handles sent, | MOTOR_CALL_*; out: handles received */
    /* out: the server's answer: negative status or errno as the protocol says, or a result */
    int64_t status;
    uint64_t word[MOTOR_MSG_WORDS]; /* in and out */
    const void *in;                 /* bytes the server may read while the call lasts */
    uint64_t in_size;
    void *out; /* bytes the server may write while the call lasts */
    uint64_t out_size;
    /* in: to send (a duplicate goes; the sender keeps its own); out: received */
    motor_handle handle[MOTOR_MSG_HANDLES];
    uint64_t deadline; /* MOTOR_NEVER, or when the call ends with MOTOR_ETIMEOUT */
};
_Static_assert(sizeof(struct motor_msg) == 120, "ABI");
/* interruptions do not end the call: only the reply, the deadline or a death does */
#define MOTOR_CALL_NOINTR  (1u << 31)
/*
 * an interruption ends the call only while no server has received it; after that it just tells the
 * server (CANCEL), and the call waits for the answer: nothing happens unnoticed
 */
#define MOTOR_CALL_CONFIRM (1u << 30)
/* the answer may be another program: MOTOR_REPLY_EXEC */
#define MOTOR_CALL_EXEC    (1u << 29)

#define MOTOR_EVENT_CALL   1u
#define MOTOR_EVENT_NOTIFY 2u
#define MOTOR_EVENT_CLOSED 3u
/*
 * a call not yet answered was given up by its caller: `token` is dead; or (MOTOR_CALL_CONFIRM) its
 * caller was interrupted and wants an answer now
 */
#define MOTOR_EVENT_CANCEL 4u

/*
 * What a server receives. In handle[], a gate of this very endpoint arrives as MOTOR_HANDLE_OWN
 * with its badge in own_badge[]: the server recognises its own object and gets no handle.
 */
#define MOTOR_HANDLE_OWN 0xffffffffu
struct motor_event {
    uint32_t kind;
    uint32_t op;
    uint64_t badge;
    uint64_t token; /* names the call for msg_copy() and the reply; never 0 */
    uint64_t word[MOTOR_MSG_WORDS];
    uint64_t in_size, out_size;
    uint32_t pid, uid, gid; /* the caller's labels */
    uint32_t nhandles;
    motor_handle handle[MOTOR_MSG_HANDLES];
    uint64_t own_badge[MOTOR_MSG_HANDLES];
    uint32_t pgid, sid, root; /* labels, too */
    uint32_t fsuid, fsgid; /* of the thread, for files: its effective ones unless it chose others */
    uint32_t reserved;
    uint64_t groups;                /* number of the list of its supplementary groups; 0: none */
    uint8_t data[MOTOR_MSG_INLINE]; /* the first bytes of `in` */
};

struct motor_reply {
    uint64_t token;
    int64_t status;
    uint64_t word[MOTOR_MSG_WORDS];
    const void *data; /* copied to the start of the caller's `out` */
    uint64_t size;
    uint32_t nhandles;
    /* rights (and MOTOR_HANDLE_CLOEXEC) that the caller's handles get */
    uint32_t rights[MOTOR_MSG_HANDLES];
    motor_handle handle[MOTOR_MSG_HANDLES];
    uint32_t flags; /* MOTOR_REPLY_* */
};
#define MOTOR_REPLY_MOVE  1u /* the server's own handles are closed when sent */
/*
 * If the caller has given up, serve() ends at this reply with -MOTOR_EGONE (without the flag, it
 * goes on silently). A server that has moved bytes for a call can so take them back: what the
 * caller was not told of has not happened.
 */
#define MOTOR_REPLY_CHECK 2u
/*
 * To a call with MOTOR_CALL_EXEC, by the first process. handle[0], with the right to manage it, is
 * an embryo made from the template, and the caller goes on as that: with its memory, its handles
 * (its own are closed), one thread that starts as the template's does with word[0] as its first
 * argument, and word[1] and word[2] as effective and saved user and group (MOTOR_KEEP_ID: the
 * effective one stays). pid, family and real ids remain. Who acts for an embryo
 * (MOTOR_PROCESS_ACT_FOR) starts that so, and its call is answered with 0. From then on nobody but
 * root and the process itself can do anything to it through a handle to it, whoever has one
 * (EACCESS): it has become more than they were given.
 */
#define MOTOR_REPLY_EXEC  4u
#define MOTOR_KEEP_ID     0xffffffffull

/*
 * msg_copy(): exactly one of buffer and vmo. Result: bytes copied (short at the end of a buffer or
 * object).
 */
#define MOTOR_COPY_FROM_CALLER 0u /* caller's `in` -> here */
#define MOTOR_COPY_TO_CALLER   1u /* here -> caller's `out` */
struct motor_copy {
    uint64_t offset; /* in the caller's buffer */
    uint64_t length;
    void *buffer;
    motor_handle vmo; /* 0: buffer */
    uint32_t reserved;
    uint64_t vmo_offset;
};

/* ---- futexes ---- */

/* key by memory object and offset, else by address space and address */
#define MOTOR_FUTEX_SHARED (1u << 0)
#define MOTOR_FUTEX_NOINTR (1u << 1) /* not ended by interruptions (the runtime's own locks) */
#define MOTOR_FUTEX_BITSET (1u << 2) /* reserved */

/* ---- hardware ---- */

#define MOTOR_IRQ_LINE_EDGE  0u /* line: GSI */
#define MOTOR_IRQ_LINE_LEVEL 1u /* line: GSI; active high */
#define MOTOR_IRQ_MSI        2u /* fills *msi; line: preferred CPU */
/* line: ISA number; MADT overrides give GSI, trigger and polarity */
#define MOTOR_IRQ_LINE_ISA   3u

struct motor_msi {
    uint64_t address;
    uint32_t data;
    uint32_t reserved;
};

/* ACPI S5, or the reset that QEMU's -no-reboot turns into an end with status 0 */
#define MOTOR_POWER_OFF   0u
#define MOTOR_POWER_RESET 1u
#define MOTOR_POWER_EXIT  2u /* isa-debug-exit with status if there is one, else as OFF */

/*
 * Kernel information page: mapped read-only in every process; its address is word 0 of process
 * start-up and system_info(MOTOR_SINFO_KINFO). Time: ns = base_ns + ((rdtsc - base_tsc) * mult >>
 * 32); read under seq.
 */
struct motor_kinfo {
    uint32_t abi_version;
    uint32_t cpus;
    uint32_t seq; /* odd while being changed */
    uint32_t flags;
    uint64_t base_tsc;
    uint64_t base_ns;            /* monotonic ns at base_tsc */
    uint64_t mult;               /* ns per TSC tick, 32.32 fixed point */
    uint64_t realtime_offset_ns; /* realtime = monotonic + this */
    uint64_t tsc_hz;
    uint64_t xsave_size;   /* bytes of the XSAVE area in use; 512 when only FXSAVE */
    uint64_t xsave_mask;   /* XCR0, 0 when only FXSAVE */
    uint64_t memory_total; /* bytes of RAM managed */
    /*
     * +1 whenever a process has got another parent, before anybody can know that the old one is
     * dead: while it stays the same, MOTOR_LABEL_PPID of every living process does
     */
    uint64_t adoptions;
    uint64_t reserved[5]; /* what follows changes all the time: a cache line of its own */
    /*
     * How many CPUs run a thread, while no thread waits for a CPU; 0: some do. Always 0 on a
     * machine with one. If it is 2 or more, a thread that expects something of another CPU at any
     * moment may as well look for it as sleep: nobody else wants the CPU.
     */
    uint32_t unhurried_cpus;
};
#define MOTOR_KINFO_FSGSBASE (1u << 0)             /* rdfsbase and wrfsbase work in user mode */
#define MOTOR_KINFO_ADDRESS  0x00007fffffffe000ull /* where it is mapped in every process */

/* system_info() */
#define MOTOR_SINFO_MEMORY    1u /* struct motor_memory_info */
#define MOTOR_SINFO_COUNTERS  2u /* struct motor_counters, summed over CPUs */
#define MOTOR_SINFO_BOOT      3u /* struct motor_boot_info; first process only */
#define MOTOR_SINFO_CPU       4u /* uint32_t: the CPU this thread runs on */
#define MOTOR_SINFO_PROCESSES 5u /* array of uint32_t pids; result: how many there are */
/*
 * struct motor_log_record, in: the lowest sequence wanted; first process only. ENOENT: there is
 * none yet. Old records are lost, the oldest that is left comes instead
 */
#define MOTOR_SINFO_LOG       6u

struct motor_memory_info {
    uint64_t total, free; /* bytes; free includes what per-CPU caches hold */
    uint64_t kernel;      /* slabs, stacks, page tables */
    /* live objects; groups: lists of supplementary ones */
    uint64_t processes, threads, vmos, endpoints, gates, handles, regions, groups;
};

/* A line of the kernel's log, or a part of a longer one, without a newline. */
#define MOTOR_LOG_TEXT 168u
struct motor_log_record {
    uint64_t sequence; /* from 0 on */
    uint64_t ns;       /* monotonic; 0: before the clock ran */
    uint32_t length, reserved;
    char text[MOTOR_LOG_TEXT]; /* no NUL */
};
_Static_assert(sizeof(struct motor_log_record) == 192, "ABI");

struct motor_counters {
    uint64_t syscalls, switches, space_switches, ipis, faults, tlb_flushes, interrupts,
        timer_interrupts;
    uint64_t calls, direct_switches, notifies, futex_waits, futex_wakes, upcalls, copied_bytes,
        frames_zeroed, busy_ns; /* busy_ns: CPU time of all threads, up to their last charge */
    uint64_t pager_calls;
};

struct motor_boot_info {
    uint64_t rsdp;        /* physical address of the ACPI root pointer, 0 if none */
    uint64_t bundle_size; /* bytes; the object is handle MOTOR_BOOT_BUNDLE of the first process */
    char cmdline[2048];
};

/* The first process (sysio) starts with these handles. */
#define MOTOR_BOOT_SELF     1u
#define MOTOR_BOOT_HARDWARE 2u
#define MOTOR_BOOT_BUNDLE   3u /* read-only, mappable executable through clones */

#endif
