# SPDX-License-Identifier: MIT
"""By how much Motor has to be better, row by row: (part, row): ratio. Rows that are not here have no goal of their own."""

BOOT = {"microvm, above QEMU's floor": 25}

# Instructions with one processor; every call that is not named: 1.
INSTRUCTIONS = {
    "futex_switch": 3, "thread_create_join": 6, "tcp_round_trip": 3, "tcp_connect_close": 3, "read_4k": 2, "read_1m": 2, "stat": 1.5,
    "open_close": 1.5, "write_4k": 1.5, "page_fault": 2, "mmap_touch_munmap_1m": 3, "poll_1000": 3, "epoll_1000": 1,
    "signal_self": 1.5, "getppid": 2, "clock_gettime": None, "http_keepalive": 2.5, "http_connection": 2,
}

# Time with one processor.
TIME = {
    "futex_switch": 1.5, "thread_create_join": 4, "tcp_round_trip": 3, "tcp_connect_close": 3, "read_4k": 1.5, "read_1m": 1.5,
    "page_fault": 2, "mmap_touch_munmap_1m": 3, "poll_1000": 3, "epoll_1000": 1, "signal_self": 1.5,
}

# Time with two processors.
TIME_2 = {"stat": 1, "open_close": 1, "write_4k": 1}


class Goals(dict):
    def get(self, key, default=None):
        part, row = key
        if part == "instructions":
            return INSTRUCTIONS.get(row, 1)
        if part == "time":
            return TIME.get(row, 1)
        if part == "time, 2 CPUs":
            return TIME_2.get(row)
        return super().get(key, default)


GOALS = Goals({("boot", row): goal for row, goal in BOOT.items()})
