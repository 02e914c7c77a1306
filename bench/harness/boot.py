# SPDX-License-Identifier: MIT
"""From the start of QEMU to the first HTTP 200, QEMU's own part of it, and what its emulator translates until then."""
import statistics, struct, subprocess, tempfile, time

from . import guests


def floor(machine):
    begin = time.monotonic()
    subprocess.run(["tools/qemu.sh", "-a", guests.accel, "-M", machine, "-k", "build/bench/floor.elf"], stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.monotonic() - begin) * 1e9


def boot(system, machine, qemu=()):
    """QEMU's user network repeats what it sent to a guest that was not up yet only much later: ask once nginx has spoken."""
    port = guests.free_port()
    with guests.Guest(system, image="small", machine=machine, memory="256M", forwards=[f"{port}:80"], qemu=qemu) as guest:
        if not guest.wait_line(b"nginx/"):
            raise RuntimeError(f"{system.name} does not boot on {machine}")
        while not guests.http_ok("127.0.0.1", port):
            if time.monotonic() - guest.started > 60:
                raise RuntimeError(f"{system.name} does not answer on {machine}")
            time.sleep(0.002)
        return (time.monotonic() - guest.started) * 1e9


def translated(system, machine):
    """Blocks of code and the instructions in them; None if this QEMU does not take the plugin. The time is not QEMU's alone."""
    with tempfile.NamedTemporaryFile() as counts:
        try:
            boot(system, machine, ("-plugin", f"build/bench/blocks.so,out={counts.name}"))
        except RuntimeError:
            return None
        return struct.unpack("=QQ", counts.read(16))


def run(results, _names):
    for machine in "microvm", "q35":
        pairs, above, floors = [], [], []
        for i in range(results.rounds):
            results.progress(f"boot on {machine}, round {i + 1}")
            order = (guests.Motor, guests.Linux) if i % 2 == 0 else (guests.Linux, guests.Motor)
            took = {system.name: boot(system, machine) for system in order}
            floors.append(floor(machine))
            pairs.append((took["Motor"], took["Linux"]))
            above.append(tuple(max(t - floors[-1], 1) for t in pairs[-1]))
        results.add("boot", f"{machine}, to HTTP 200", "ns", pairs)
        results.note(f"QEMU's own floor on {machine}: {statistics.median(floors) / 1e6:.0f} ms")
        results.add("boot", f"{machine}, above QEMU's floor", "ns", above)
        counts = translated(guests.Motor, machine) if guests.accel == "tcg" else None
        if counts:
            results.note(f"Motor on {machine}: {counts[0]} blocks of {counts[1]} instructions are translated until then")
