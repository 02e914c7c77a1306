# SPDX-License-Identifier: MIT
"""Memory: the least with which nginx serves, what is in use when nothing happens, and what connections, threads and processes take."""
import contextlib, os, socket, time

from . import guests
from .calls import both

MIB = 2**20
tap = False


def serves(system, mib):
    """Whether a guest of that size boots and serves a file of 1 MiB three times."""
    port = guests.free_port()
    with guests.Guest(system, image="small", memory=f"{mib}M", forwards=[f"{port}:80"]) as guest:
        end = time.monotonic() + 25
        while not guests.http_ok("127.0.0.1", port, timeout=5):
            if time.monotonic() > end or guest.process.poll() is not None:
                return False
            time.sleep(0.1)
        return all(guests.http_ok("127.0.0.1", port, "/1m.bin", timeout=10) for _ in range(3))


def smallest(results, system, low, high):
    """The least size in MiB that serves; low does not, high does."""
    while not serves(system, high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        results.progress(f"{system.name} with {middle} MiB")
        if serves(system, middle):
            high = middle
        else:
            low = middle
    return high


def idle_connections(guest, port, calls, count):
    """Bytes for each idle connection of nginx."""
    held = []

    def more(n):
        for _ in range(n):
            s = socket.create_connection((guest.address, port), 10)
            held.append(s)
        time.sleep(0.5)
        return free(calls)

    while not guests.http_ok(guest.address, port): # nginx starts beside the calls program
        time.sleep(0.1)
    try:
        before = more(count // 10)
        return (before - more(count)) / count
    finally:
        for s in held:
            s.close()


def free(calls):
    return float(calls.ask("free").rpartition("=")[2])


def run(results, names):
    def wanted(name):
        return not names or name in names

    if wanted("smallest"):
        results.add("memory", "smallest -m that serves nginx", "B",
                    [(smallest(results, guests.Motor, 2, 32) * MIB, smallest(results, guests.Linux, 24, 128) * MIB)])
    if wanted("image"):
        files = {"Motor": ("build/kernel/motor.elf", "build/bench/motor-small.img"),
                 "Linux": ("build/linux/vmlinux", "build/bench/linux-small.img")}
        results.add("memory", "kernel and image, as booted", "B",
                    [tuple(sum(os.path.getsize(f) for f in files[n]) for n in ("Motor", "Linux"))])
    with both(memory="256M") as up:
        if wanted("idle"):
            results.add("memory", "in use when idle, of 256 MiB", "B", [tuple(256 * MIB - free(calls) for calls in up)])
        for row in "thread", "process":
            if not wanted(row):
                continue
            got = [calls.measure(f"memory {row}") for calls in up]
            bad = [(name, *g) for name, g in zip(("Motor", "Linux"), got) if g[0] != "ok"]
            if bad:
                results.add("memory", f"for each {row}", "B", [], state=f"{bad[0][0]}: {bad[0][1]}", note=bad[0][2])
            else:
                results.add("memory", f"for each {row}", "B", [tuple(g[1]["bytes"] for g in got)])
    if wanted("connection"):
        if not tap:
            results.note("for each idle connection: unsupported: no TAP device here")
            return
        values = []
        for i, system in enumerate((guests.Motor, guests.Linux)):
            with guests.Guest(system, tap=i) as guest, contextlib.closing(guests.Calls(guest.address, 7000)) as calls:
                values.append(idle_connections(guest, 80, calls, 2000))
        results.add("memory", "for each idle TCP connection", "B", [tuple(values)])
