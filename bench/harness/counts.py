# SPDX-License-Identifier: MIT
"""What one operation makes Motor do, from the kernel's own counters: exact, and the same on every host.

The machine counts instructions as its time, so that nothing in it depends on the host's. A row's count is the difference between a
long and a short run, by operation: what is done once, and the reading of the counters, falls out. bench/counts.txt holds the
recorded ones; `make test` fails when one has grown.
"""
import contextlib, os, subprocess, time

from . import guests

# Kernel entries, address-space switches, interrupts of devices, interrupts between processors, page faults, bytes that the kernel
# copied between processes. The timer's interrupts are left out: when they come is by how long a run takes, not by what it does.
COUNTERS = {"entries": lambda c: c("syscalls"), "switches": lambda c: c("space_switches"),
            "interrupts": lambda c: c("interrupts") - c("timer_interrupts"), "ipis": lambda c: c("ipis"), "faults": lambda c: c("faults"),
            "copied": lambda c: c("copied_bytes")}
RECORDED = "bench/counts.txt"
# Growth that is none: rounding; and sysio's own timers (ARP, TCP), which fall into a run or into its neighbour: that many events.
SLACK, RELATIVE, STRAY = 0.06, 0.01, 6
# A kept connection from outside, by the network card. Shown, but not compared: when packets come, and how many at once, is the
# host's affair.
EXTERNAL = "http_external"

# A row whose switches come in groups, by how full rings are, needs runs that are long against a group.
SHORT, LONG = 64, 256
FEW = {"mmap_touch_munmap_64m": (2, 6), "readdir_1000": (4, 16), "page_fault": (2, 6), "mmap_touch_munmap_1m": (16, 64),
       "append_4k": (512, 2048), "tcp_throughput_64k": (256, 2304)}


def each(grown_by, operations, name):
    return max(0, round(grown_by / operations, 0 if name == "copied" else 2))


# How many page tables and pages a process touches depends on where its parts lie, which is random.
FAULTS_RELATIVE = 0.15


def operations(row):
    short, long = FEW.get(row, (SHORT, LONG))
    return long - short


def pick(got):
    """What is counted, of all the kernel's counters."""
    return {name: of(lambda counter: got.get("kernel." + counter, 0)) for name, of in COUNTERS.items()}


def of_call(calls, row):
    short, long = FEW.get(row, (SHORT, LONG))
    runs = []
    for n in short, long:
        state, got = calls.measure(f"count {row} {n}")
        if state != "ok":
            return state, got
        runs.append(got)
    done = runs[1]["n"] - runs[0]["n"]
    before, after = pick(runs[0]), pick(runs[1])
    return "ok", {name: each(after[name] - before[name], done, name) for name in COUNTERS}


def of_external_request(calls, port):
    def load(n):
        before = pick(calls.measure("counters")[1])
        subprocess.run(["build/host/httpload", "-n", str(n), f"127.0.0.1:{port}/1k.bin"], check=True, stdout=subprocess.DEVNULL)
        after = pick(calls.measure("counters")[1])
        return {name: after[name] - before[name] for name in COUNTERS}

    load(10)
    short, long = load(100), load(600)
    return {name: each(long[name] - short[name], 500, name) for name in COUNTERS}


def measure(names=(), progress=lambda text: None):
    """-> {row: {counter: count by operation}}, {row: why it has none}. Each count is the least of three: a disturbance only adds."""
    counts, without = {}, {}
    with booted(icount=True) as (calls, _):
        for row in calls.rows:
            if names and row not in names:
                continue
            progress(row)
            state, got = of_call(calls, row)
            if state != "ok":
                without[row] = f"{state} {got}"
                continue
            again = [got] + [of_call(calls, row)[1] for _ in range(2)]
            counts[row] = {name: min(g[name] for g in again) for name in COUNTERS}
    return counts, without


def measure_external():
    # With instruction counting an idle guest's time runs ahead: nginx would give connections up.
    with booted(icount=False) as (calls, web):
        while not guests.http_ok("127.0.0.1", web):
            time.sleep(0.05)
        return of_external_request(calls, web)


@contextlib.contextmanager
def booted(icount):
    """-> calls, the port of nginx"""
    web, port = guests.free_port(), guests.free_port()
    with guests.Guest(guests.Motor, icount=icount, forwards=[f"{web}:80", f"{port}:7000"]), \
            contextlib.closing(guests.Calls("127.0.0.1", port)) as calls:
        yield calls, web


def read():
    counts = {}
    with open(RECORDED) as f:
        for line in f:
            if not line.startswith("#"):
                row, *pairs = line.split()
                counts[row] = {k: float(v) for k, v in (p.split("=") for p in pairs)}
    return counts


def record(counts):
    with open(RECORDED, "w") as f:
        f.write("# What one operation of each row of bench/calls makes Motor do, with one processor (bench/harness/counts.py).\n"
                "# Recorded by `make bench-record`; `make test` fails when a count has grown. Say in the commit why one has to.\n")
        for row, got in counts.items():
            f.write(f"{row:24} " + " ".join(f"{name}={value:g}" for name, value in got.items()) + "\n")


def grown(counts, recorded):
    """-> what has grown, in words; and what should be recorded anew: counts that have shrunk, rows that are not there yet"""
    worse, better = [], []
    for row, got in counts.items():
        if row == EXTERNAL:
            continue
        for name, value in got.items():
            old = recorded.get(row, {}).get(name)
            slack = SLACK + STRAY / operations(row) + (FAULTS_RELATIVE * old if name == "faults" and old else 0)
            if old is None:
                better.append(f"{row}: {name} is {value:g}, not recorded")
            elif value > old * (1 + RELATIVE) + slack:
                worse.append(f"{row}: {name} has grown from {old:g} to {value:g}")
            elif value < old * (1 - RELATIVE) - slack:
                better.append(f"{row}: {name} is {value:g}, recorded {old:g}")
    worse += [f"{row}: gone, but recorded" for row in recorded if row not in counts]
    return worse, better


def run(results, names):
    counts, without = measure(names, lambda row: results.progress(f"counts: {row}"))
    if not names or EXTERNAL in names:
        counts[EXTERNAL] = measure_external()
    recorded = read() if os.path.exists(RECORDED) else {}
    for row, got in counts.items():
        results.note(f"{row:24} " + "  ".join(f"{name} {value:g}" for name, value in got.items() if value))
    for row, why in without.items():
        results.note(f"{row:24} {why}")
    worse, better = grown(counts, {row: r for row, r in recorded.items() if not names or row in names})
    for text in worse:
        results.note(f"GROWN: {text}")
    for text in better:
        results.note(f"better: {text}")
    results.counts = counts
