# SPDX-License-Identifier: MIT
"""nginx under load from this host. Both guests are up at the same time and are loaded in turn, round by round.

Through a TAP, where the guest is the limit; and through QEMU's user network, which is the limit for bulk and for tails itself, and
takes one connection at a time.
"""
import contextlib, json, subprocess, time

from . import guests

SECONDS = 1.5
tap = False # whether this program runs in a namespace with TAP devices

# row, file, httpload's options, and what is taken from its answer
LOADS = [(f"{size.replace('k', ' KiB')}, keep-alive, {n} connection{'s' if n > 1 else ''}", f"{size}.bin", ["-c", str(n)],
          ("rate", "p50_ms", "p99_ms")) for size in ("1k", "16k") for n in (1, 16, 64)] + [
    ("1 KiB, one request a connection", "1k.bin", ["-1", "-c", "8"], ("rate",)),
    ("1 MiB", "1m.bin", ["-c", "4"], ("mb_per_s",)),
    ("64 MiB", "64m.bin", ["-c", "1"], ("mb_per_s",)),
    ("1 KiB, 16 connections beside 1,000 idle", "1k.bin", ["-c", "16", "-i", "1000"], ("rate", "p99_ms")),
]
# Slirp takes one connection at a time: those that stay are opened one after another.
USER_LOADS = [(name, file, [*options, "-g"], figures) for name, file, options, figures in LOADS
              if options[-1] in ("1", "16", "4") and "64 MiB" not in name] + [
    ("1 KiB, one request a connection", "1k.bin", ["-1", "-c", "1"], ("rate",))]
UNITS = {"rate": ("/s", 1, False), "p50_ms": ("ns", 1e6, True), "p99_ms": ("ns", 1e6, True), "mb_per_s": ("MB/s", 1, False)}
NAMES = {"rate": "", "mb_per_s": "", "p50_ms": ", p50", "p99_ms": ", p99"}


def load(target, file, options):
    command = ["build/host/httpload", "-n", "1000000", "-t", str(SECONDS), *options, f"{target}/{file}"]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError((run.stderr.strip().splitlines() or [f"httpload's status is {run.returncode}"])[0])
    result = json.loads(run.stdout)
    if not result["requests"]:
        raise RuntimeError(f"no request in {SECONDS} s")
    return result


def boot(stack, use_tap, cpus):
    """-> [(guest, IP:PORT)] of both, each serving."""
    up = []
    for i, system in enumerate((guests.Motor, guests.Linux)):
        port = 80 if use_tap else guests.free_port()
        guest = stack.enter_context(guests.Guest(system, image="large", cpus=cpus, tap=i if use_tap else None,
                                                 forwards=[] if use_tap else [f"{port}:80"]))
        host = guest.address if use_tap else "127.0.0.1"
        guest.wait_line(b"nginx/")
        while not guests.http_ok(host, port):
            if time.monotonic() - guest.started > 60:
                raise RuntimeError(f"{system.name} does not answer")
            time.sleep(0.05)
        up.append((guest, f"{host}:{port}"))
    return up


def measure(results, part, row, up):
    name, file, options, figures = row
    values = []
    for i in range(results.rounds):
        results.progress(f"{part}: {name}, round {i + 1}")
        pair = {}
        for which in (0, 1) if i % 2 == 0 else (1, 0):
            guest, target = up[which]
            before = guest.cpu_seconds()
            try:
                pair[which] = load(target, file, options)
            except RuntimeError as error:
                raise RuntimeError(f"{guest.name}: {error}") from None
            pair[which]["cpu"] = (guest.cpu_seconds() - before) / pair[which]["requests"] * 1e9
        values.append(pair)
    for figure in figures:
        unit, factor, less = UNITS[figure]
        results.add(part, name + NAMES[figure], unit, [(v[0][figure] * factor, v[1][figure] * factor) for v in values], less)
    results.add(part, f"{name}, CPU", "ns", [(v[0]["cpu"], v[1]["cpu"]) for v in values],
                note="QEMU's CPU time on the host for each request")


def run(results, names):
    plans = [("http, TAP", True, 1, LOADS), ("http, TAP, 2 CPUs", True, 2, LOADS), ("http, user net", False, 1, USER_LOADS)]
    for part, use_tap, cpus, loads in plans:
        results.part(part)
        if use_tap and not tap:
            results.note("unsupported: this host lets nobody make a network namespace with TAP devices here")
            continue
        with contextlib.ExitStack() as stack:
            results.progress("booting both guests")
            up = boot(stack, use_tap, cpus)
            for row in loads:
                if names and not any(n in row[0] for n in names):
                    continue
                try:
                    measure(results, part, row, up)
                except (RuntimeError, ValueError, OSError) as error:
                    results.add(part, row[0], "", [], state="failed", note=str(error))
                    if any(guest.process.poll() is not None for guest, _ in up):
                        stack.close()
                        up = boot(stack, use_tap, cpus)
