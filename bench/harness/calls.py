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


@contextlib.contextmanager
def both(**options):
    """The calls programs of both guests."""
    with contextlib.ExitStack() as stack:
        up = []
        for system in guests.Motor, guests.Linux:
            port = guests.free_port()
            stack.enter_context(guests.Guest(system, forwards=[f"{port}:7000"], **options))
            up.append(stack.enter_context(contextlib.closing(guests.Calls("127.0.0.1", port))))
        yield up


def measure_row(results, part, row, up, rounds, batch_ms, unit):
    pairs, per_unit = [], 1.0 if unit == "instr" else 1e6 / guests.host_tsc_khz
    for i in range(rounds):
        results.progress(f"{part}: {row}, round {i + 1}")
        values = {}
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            state, got = up[which].measure(f"time {row} {batch_ms}")
            if state != "ok":
                results.add(part, row, unit, [], state=("Motor", "Linux")[which] + ": " + state, note=got)
                return
            values[which] = got["tsc"] * per_unit
        pairs.append((values[0], values[1]))
    results.add(part, row, unit, pairs)


def run(results, names):
    for part, cpus, icount, batch_ms, rounds in PLANS:
        results.part(f"calls: {part}")
        with contextlib.ExitStack() as stack:
            results.progress("booting both guests")
            up = stack.enter_context(both(cpus=cpus, icount=icount))
            for row in up[0].rows:
                if names and row not in names:
                    continue
                try:
                    measure_row(results, part, row, up, rounds or results.rounds, batch_ms, "instr" if icount else "ns")
                except OSError as error:  # a guest is gone: the row is its fault, the next ones are not
                    results.add(part, row, "", [], state="failed", note=str(error))
                    stack.close()
                    up = stack.enter_context(both(cpus=cpus, icount=icount))
