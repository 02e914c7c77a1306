#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""boot-time.py [ROUNDS]: ms from starting QEMU to nginx's first HTTP 200, under TCG, on microvm and q35; median and range.

The floor beside it is a kernel that ends QEMU at once (ours, without a bundle).
"""
import os, socket, statistics, subprocess, sys, time

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
os.chdir(top)


def start(machine, *more):
    return subprocess.Popen(["tools/qemu.sh", "-a", "tcg", "-M", machine, *more], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def first_answer(vm, port):
    # QEMU's user network repeats what it sent to a guest that was not up yet only much later: begin when nginx speaks.
    for line in vm.stdout:
        if b"nginx/" in line:
            break
    request = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as s:
                s.sendall(request)
                if s.recv(64).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            time.sleep(0.002)


def boot(machine, port):
    begin = time.monotonic()
    vm = start(machine, "-b", "build/bundle-nginx.img", "-p", f"{port}:80")
    first_answer(vm, port)
    took = time.monotonic() - begin
    vm.kill()
    vm.wait()
    return took * 1000


def floor(machine):
    begin = time.monotonic()
    start(machine, "-n", "none").communicate()
    return (time.monotonic() - begin) * 1000


def show(name, ms):
    print(f"{name:24} median {statistics.median(ms):6.0f} ms, {min(ms):.0f} to {max(ms):.0f}")


rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
for machine in "microvm", "q35":
    show(f"{machine} floor", [floor(machine) for _ in range(rounds)])
    show(f"{machine} to HTTP 200", [boot(machine, 18300 + i) for i in range(rounds)])
