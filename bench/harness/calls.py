# SPDX-License-Identifier: MIT
"""Single calls: instructions, time with one processor, time with two. Both guests are up, and each row is measured in one, then in
the other, round by round, so that the two figures of a pair are taken within a second of each other.

All figures are the time stamp counter's: with instruction counting it advances by one an instruction, else it is the host's, and
does not depend on how well a guest knows the time.
"""
import contextlib

from . import guests

PLANS = (
    # part, processors, instruction counting, ms a batch, rounds (None: as asked)
    ("instructions", 1, True, 10, 1),
    ("time", 1, False, 20, None),
    ("time, 2 CPUs", 2, False, 20, None),
)

# The same rows with their files on a disk; what waits for the device has no meaning in instructions, since an idle guest's clock jumps.
DISK_PLANS = (
    ("disk, instructions", 1, True, 10, 1),
    ("disk, time", 1, False, 20, None),
)
DISK_ROWS = ("read_4k", "append_4k", "create_unlink", "rename_twice", "readdir_1000")
DISK_WAITING_ROWS = ("write_fsync", "read_cold_64m")


@contextlib.contextmanager
def both(**options):
    """The calls programs of both guests."""
    with contextlib.ExitStack() as stack:
        up = []
        for system in guests.Motor, guests.Linux:
            port = guests.free_port()
            stack.enter_context(guests.Guest(system, forwards=[f"{port}:7000"], **options))
            calls = stack.enter_context(contextlib.closing(guests.Calls("127.0.0.1", port)))
            if options.get("disk"):
                calls.folder(guests.DISK_FOLDER)
            up.append(calls)
        yield up


def measure_row(part, row, up, batch_ms, motor_first):
    """-> (Motor's, Linux's) ticks of the TSC, or why there are none"""
    values = {}
    for which in (0, 1) if motor_first else (1, 0):
        state, got = up[which].measure(f"time {row} {batch_ms}")
        if state != "ok":
            return ("Motor", "Linux")[which] + ": " + state, got
        values[which] = got["tsc"]
    return None, (values[0], values[1])


def run_round(results, part, options, names, number, batch_ms, pairs, without):
    """Both guests are started anew for each round: where things happen to lie in memory is part of what a row's spread shows."""
    with contextlib.ExitStack() as stack:
        results.progress(f"{part}, round {number + 1}: booting both guests")
        up = stack.enter_context(both(**options))
        for row in up[0].rows:
            if names and row not in names or row in without:
                continue
            results.progress(f"{part}, round {number + 1}: {row}")
            try:
                why, got = measure_row(part, row, up, batch_ms, number % 2 == 0)
            except OSError as error: # a guest is gone: the row is its fault, the next ones are not
                why, got = "failed", str(error)
                stack.close()
                up = stack.enter_context(both(**options))
            if why:
                without[row] = why, got
            else:
                pairs.setdefault(row, []).append(got)


def run_disk(results, names):
    for plan in DISK_PLANS:
        rows = DISK_ROWS if plan[2] else DISK_ROWS + DISK_WAITING_ROWS
        wanted = [row for row in rows if not names or row in names]
        if wanted:
            run_plans(results, wanted, [plan], disk=True)


def run(results, names):
    run_plans(results, names, PLANS)


def run_plans(results, names, plans, **options):
    """names: the rows, all when it is empty"""
    for part, cpus, icount, batch_ms, rounds in plans:
        results.part(f"calls: {part}")
        pairs, without = {}, {}
        for number in range(rounds or results.rounds):
            run_round(results, part, {"cpus": cpus, "icount": icount, **options}, names, number, batch_ms, pairs, without)
        unit, scale = ("instr", 1) if icount else ("ns", 1e6 / guests.host_tsc_khz)
        for row, values in pairs.items():
            if row not in without:
                results.add(part, row, unit, [(m * scale, l * scale) for m, l in values])
        for row, (why, got) in without.items():
            results.add(part, row, unit, [], state=why, note=got)
