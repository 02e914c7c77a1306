#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""mkinitramfs.py OUT ROOT SPEC...: an uncompressed initramfs (cpio, newc).

ROOT is the unpacked Debian packages (fetch-deb.sh). A SPEC is HOSTFILE:PATH[:MODE], PATH/ for an empty directory, or
module:NAME for a kernel module, which brings those that it depends on; /modules/order lists them in the order of loading.
"""
import glob, lzma, os, re, stat, sys

entries = {}  # path: (mode, bytes, device)


def add(path, mode, data=b"", device=(0, 0)):
    parent = os.path.dirname(path)
    if parent and parent not in entries:
        add(parent, stat.S_IFDIR | 0o755)
    entries[path] = (mode, data, device)


def module_bytes(path):
    data = open(path, "rb").read()
    return lzma.decompress(data) if path.endswith(".xz") else data


def load_order(root, wanted):
    files = {}
    for path in glob.glob(root + "/**/lib/modules/*/kernel/**/*.ko*", recursive=True):
        files[re.sub(r"\.ko.*", "", os.path.basename(path)).replace("-", "_")] = path
    order = []

    def visit(name):
        if name in order or name not in files:  # not there: built into the kernel
            return
        depends = re.search(rb"\0depends=([^\0]*)\0", module_bytes(files[name]))
        for other in depends[1].decode().split(",") if depends and depends[1] else []:
            visit(other.replace("-", "_"))
        order.append(name)

    for name in wanted:
        visit(name)
    return [(name + ".ko", module_bytes(files[name])) for name in order]


def newc(out):
    def record(number, name, mode, data, device):
        fields = [number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0]
        out.write(b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0")
        out.write(b"\0" * (-(110 + len(name) + 1) % 4) + data + b"\0" * (-len(data) % 4))

    for number, (path, (mode, data, device)) in enumerate(sorted(entries.items()), 1):
        record(number, path, mode, data, device)
    record(0, "TRAILER!!!", 0, b"", (0, 0))


def main():
    out, root, *specs = sys.argv[1:]
    modules = []
    add("dev", stat.S_IFDIR | 0o755)
    add("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))  # where the kernel opens init's standard streams
    for spec in specs:
        first, _, rest = spec.partition(":")
        if first == "module":
            modules.append(rest)
        elif first.endswith("/"):
            add(first.strip("/"), stat.S_IFDIR | 0o755)
        else:
            path, _, mode = rest.partition(":")
            add(path.lstrip("/"), stat.S_IFREG | int(mode or "755", 8), open(first, "rb").read())
    order = load_order(root, modules)
    for name, data in order:
        add("modules/" + name, stat.S_IFREG | 0o644, data)
    add("modules/order", stat.S_IFREG | 0o644, "".join(name + "\n" for name, _ in order).encode())
    for applet in "sh mount cat insmod ip poweroff".split():
        add("bin/" + applet, stat.S_IFLNK | 0o777, b"busybox")
    with open(out, "wb") as file:
        newc(file)


main()
