# SPDX-License-Identifier: MIT
"""By how much Motor has to be better, row by row. Rows that are not here have no goal of their own."""

OTHERS = {
    ("boot", "microvm, above QEMU's floor"): 25,
    ("memory", "smallest -m that serves nginx"): 4,
    ("memory", "for each idle TCP connection"): 1,
    ("http, TAP", "1 KiB, keep-alive, 16 connections"): 2.5,
    ("http, TAP, 2 CPUs", "1 KiB, keep-alive, 16 connections"): 2,
    ("http, TAP", "1 KiB, one request a connection"): 2,
    ("http, TAP, 2 CPUs", "1 KiB, one request a connection"): 2,
    ("http, TAP", "1 MiB"): 1.3,
    ("http, TAP", "64 MiB"): 1.3,
    ("http, TAP, 2 CPUs", "1 MiB"): 1.3,
    ("http, TAP, 2 CPUs", "64 MiB"): 1.3,
    ("http, TAP, 2 CPUs", "1 KiB, keep-alive, 64 connections, p99"): 2,
}

# Instructions with one processor; every call that is not named: 1.
INSTRUCTIONS = {
    "futex_switch": 3, "thread_create_join": 6, "tcp_round_trip": 3, "tcp_connect_close": 3, "read_4k": 2, "read_1m": 2, "stat": 1.5,
    "open_close": 1.5, "write_4k": 1.5, "page_fault": 2, "mmap_touch_munmap_1m": 3, "poll_1000": 3, "epoll_1000": 1,
    "signal_self": 1.5, "getppid": 2, "clock_gettime": None, "http_keepalive": 2.5, "http_connection": 2,
    "pipe_round_trip": 3, "unix_round_trip": 4, "fork_wait": 3, "fork_64m_wait": 20, "fork_exec_wait": 2, "posix_spawn_wait": 3,
}

# Time with one processor.
TIME = {
    "futex_switch": 1.5, "thread_create_join": 4, "tcp_round_trip": 3, "tcp_connect_close": 3, "read_4k": 1.5, "read_1m": 1.5,
    "page_fault": 2, "mmap_touch_munmap_1m": 3, "poll_1000": 3, "epoll_1000": 1, "signal_self": 1.5,
    "pipe_round_trip": 2, "unix_round_trip": 3, "fork_wait": 2, "fork_64m_wait": 10, "fork_exec_wait": 2, "posix_spawn_wait": 3,
}

# Time with two processors.
TIME_2 = {"stat": 1, "open_close": 1, "write_4k": 1}


# Files on a disk: instructions, and time, with one processor.
DISK_INSTRUCTIONS = {"read_4k": 2, "append_4k": 2, "create_unlink": 3, "rename_twice": 3, "readdir_1000": 2}
DISK_TIME = {"read_4k": 1.5, "append_4k": 1.5, "create_unlink": 1.5, "readdir_1000": 1.3, "write_fsync": 1.3, "read_cold_64m": 1.3}


def goal(part, row):
    if part == "instructions":
        return INSTRUCTIONS.get(row, 1)
    if part == "time":
        return TIME.get(row, 1)
    if part == "time, 2 CPUs":
        return TIME_2.get(row)
    if part == "disk, instructions":
        return DISK_INSTRUCTIONS.get(row, 1)
    if part == "disk, time":
        return DISK_TIME.get(row, 1)
    return OTHERS.get((part, row))
