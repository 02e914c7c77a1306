# SPDX-License-Identifier: MIT
"""The two guests: how each is booted by tools/qemu.sh, and how the calls program in it is spoken to.

Both get the same machine, processors, memory, CPU model, devices and address. A guest that runs programs beside nginx
answers on port 80 (nginx) and port 7000 (calls).
"""
import os, socket, subprocess, sys, tempfile, time

# ERMS and FSRM are off for both: QEMU's emulator executes `rep movsb` byte by byte, which Linux would use if it saw them.
CPU_TCG = "max,erms=off,fsrm=off"
USER_NET = "10.0.2" # .15 is the guest, .2 is QEMU or this host's TAP

DISK_MIB = 1024
DISK_FOLDER = "/mnt/vda/calls"  # both guests mount it on /mnt/vda

accel = "tcg"
host_tsc_khz = 1000000


def settings(wanted):
    """Finds out what this host is, once; returns what results should say about it."""
    global accel, host_tsc_khz
    accel = subprocess.run(["tools/qemu.sh", "-P", *(["-a", wanted] if wanted else [])], capture_output=True, text=True,
                           check=True).stdout.strip()
    host_tsc_khz = int(subprocess.run(["build/host/tsc"], capture_output=True, text=True, check=True).stdout)
    qemu = subprocess.run([os.environ.get("QEMU", "qemu-system-x86_64"), "--version"], capture_output=True, text=True)
    linux = [f for f in os.listdir("build/linux/debian/boot") if f.startswith("vmlinuz-")]
    model = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return {"qemu": qemu.stdout.splitlines()[0], "accelerator": accel, "linux": linux[0][8:], "host": model[0] if model else "",
            "host_cpus": os.cpu_count(), "host_tsc_khz": host_tsc_khz}


class Guest:
    """One running VM. `image`: small, calls or large (bench/build.mk). disk: with a new one. qemu: its arguments beside."""

    def __init__(self, system, image="calls", machine="microvm", cpus=1, memory="512M", icount=False, forwards=(), tap=None,
                 log=subprocess.DEVNULL, disk=False, qemu=()):
        command = ["tools/qemu.sh", "-M", machine, "-c", str(cpus), "-m", memory, "-a", "tcg" if icount else accel]
        if accel == "tcg" or icount:
            command += ["-C", CPU_TCG]
        if icount:
            command += ["-I"]
        if tap is not None:
            command += ["-n", f"tap,id=net0,ifname=tap{tap},script=no,downscript=no"]
        for pair in forwards:
            command += ["-p", pair]
        self.disk = new_disk() if disk else None
        if disk:
            command += ["-d", self.disk]
        net = USER_NET if tap is None else tap_net(tap)
        self.address = net + ".15"
        command += system.options(image, net, 1000000 if icount else host_tsc_khz, icount or accel == "tcg")
        if qemu:
            command += ["--", *qemu]
        self.name = system.name
        self.started = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if self.disk:
            os.unlink(self.disk)

    def wait_line(self, text):
        """Until the console shows the text; False if the machine ended before."""
        for line in self.process.stdout:
            if text in line:
                return True
        return False

    def cpu_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


class Motor:
    name = "Motor"

    @staticmethod
    def options(image, net, _tsc_khz, _emulated):
        return ["-k", "build/kernel/motor.elf", "-b", f"build/bench/motor-{image}.img",
                "-A", f"ip={net}.15/24:{net}.2:{net}.2"]


class Linux:
    name = "Linux"

    @staticmethod
    def options(image, net, tsc_khz, emulated):
        # No hypervisor tells the emulated machine's TSC frequency, and microvm has no timer to find it by.
        words = ["console=ttyS0", "quiet", "mitigations=off", "tsc=reliable", "nowatchdog", "audit=0", "lsm=", "random.trust_cpu=on",
                 f"tsc_early_khz={tsc_khz}" if emulated else "", "bench.run=nginx", f"bench.ip={net}.15/24,{net}.2",
                 "" if image == "small" else "bench.beside=calls"]
        return ["-k", "build/linux/vmlinux", "-b", f"build/bench/linux-{'large' if image == 'large' else 'small'}.img",
                "-A", " ".join(w for w in words if w)]


def new_disk():
    """An ext4 as mke2fs of this host makes it, with nothing left for the guest to initialise behind the measurement."""
    handle, path = tempfile.mkstemp(prefix="disk-", suffix=".img", dir="build/bench")
    os.close(handle)
    os.truncate(path, DISK_MIB << 20)
    subprocess.run(["mke2fs", "-q", "-F", "-t", "ext4", "-E", "lazy_itable_init=0,lazy_journal_init=0", path], check=True,
                   env={**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"})
    return path


def tap_net(tap):
    return f"10.7.{tap}"


def enter_namespace():
    """Runs this program again in a network namespace of its own with two TAP devices; False if this host does not allow it."""
    if os.environ.get("BENCH_NAMESPACE"):
        commands = ["ip link set lo up", "echo '1024 65535' >/proc/sys/net/ipv4/ip_local_port_range"]
        for tap in 0, 1:
            commands += [f"ip tuntap add dev tap{tap} mode tap", f"ip address add {tap_net(tap)}.2/24 dev tap{tap}",
                         f"ip link set tap{tap} up"]
        return subprocess.run(" && ".join(commands), shell=True).returncode == 0
    unshare = ["unshare"] + ([] if os.geteuid() == 0 else ["--map-root-user"]) + ["--net"]
    if not os.path.exists("/dev/net/tun") or subprocess.run(unshare + ["true"], capture_output=True).returncode != 0:
        return False
    os.environ["BENCH_NAMESPACE"] = "1"
    os.execvp(unshare[0], unshare + [sys.executable, *sys.argv])


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def http_ok(host, port, path="/", timeout=1.0):
    """Whether one request is answered by a whole 200."""
    try:
        with socket.create_connection((host, port), timeout) as s:
            s.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            head = s.recv(4096)
            if not head.startswith(b"HTTP/1.1 200"):
                return False
            while s.recv(65536):
                pass
            return True
    except OSError:
        return False


class Calls:
    """The calls program in a guest."""

    def __init__(self, host, port, patience=90):
        end = time.monotonic() + patience
        while True:
            try:
                self.socket = socket.create_connection((host, port), 5)
                self.socket.settimeout(120)
                self.file = self.socket.makefile("rw")
                self.rows = self.ask("list").split()
                return
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def folder(self, path):
        """Files are made there from now on, on a disk."""
        answer = self.ask(f"folder {path}")
        if not answer.startswith("ok"):
            raise OSError(answer)
        self.rows = self.ask("list").split()

    def ask(self, line):
        self.file.write(line + "\n")
        self.file.flush()
        answer = self.file.readline()
        if not answer:
            raise ConnectionError(f"the calls program ended in: {line}")
        return answer.strip()

    def measure(self, line):
        """-> (state, {name: number} or the reason)"""
        state, _, rest = self.ask(line).partition(" ")
        _, _, rest = rest.partition(" ")
        if state != "ok":
            return state, rest
        return state, {k: float(v) for k, v in (pair.split("=") for pair in rest.split())}

    def close(self):
        try:
            self.file.close()
        except OSError:
            pass
        self.socket.close()


