# SPDX-License-Identifier: MIT
"""Drives the memcached at argv[1], port 11211, through its protocols; for memcached.sh. Ends with status 0 if every
answer is what doc/protocol.txt of memcached says."""
import random
import socket
import struct
import sys
import threading
import time

PORT = 11211


class Client:
    def __init__(self, host, seconds=60):
        self.socket = socket.create_connection((host, PORT), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.socket.makefile("rb")

    def line(self):
        line = self.input.readline()
        assert line.endswith(b"\r\n"), f"cut off: {line!r}"
        return line[:-2].decode()

    def call(self, line, body=None):
        self.socket.sendall(line.encode() + b"\r\n" + (b"" if body is None else body + b"\r\n"))
        return self.line()

    def set(self, key, value, flags=0, expiry=0):
        return self.call(f"set {key} {flags} {expiry} {len(value)}", value)

    def get(self, *keys):
        self.socket.sendall(f"gets {' '.join(keys)}\r\n".encode())
        found = {}
        while (line := self.line()) != "END":
            word, key, flags, size, unique = line.split()
            assert word == "VALUE", line
            value = self.input.read(int(size) + 2)
            assert value.endswith(b"\r\n") and len(value) == int(size) + 2, "a value that is cut off"
            found[key] = (value[:-2], int(flags), unique)
        return found

    def stats(self):
        self.socket.sendall(b"stats\r\n")
        found = {}
        while (line := self.line()) != "END":
            _, name, value = line.split(" ", 2)
            found[name] = value
        return found


def connect(host):
    end = time.monotonic() + 60
    while True:
        try:
            return Client(host, 5)
        except OSError:
            assert time.monotonic() < end, "memcached does not answer"
            time.sleep(0.2)


def one_of_each(host):
    c = connect(host)
    assert c.call("version").startswith("VERSION ")
    assert c.set("a", b"1", flags=7) == "STORED" and c.get("a")["a"][:2] == (b"1", 7)
    assert c.call("add a 0 0 1", b"2") == "NOT_STORED" and c.call("replace b 0 0 1", b"2") == "NOT_STORED"
    assert c.call("append a 0 0 2", b"23") == "STORED" and c.call("prepend a 0 0 1", b"0") == "STORED"
    unique = c.get("a")["a"][2]
    assert c.call(f"cas a 0 0 2 {unique}", b"40") == "STORED" and c.call(f"cas a 0 0 2 {unique}", b"50") == "EXISTS"
    assert c.call("incr a 2") == "42" and c.call("decr a 40") == "2" and c.call("incr none 1") == "NOT_FOUND"
    assert c.call("touch a 100") == "TOUCHED" and c.call("delete a") == "DELETED" and c.get("a") == {}
    assert c.call("ms meta 3", b"abc") == "HD" and c.call("mg meta v") == "VA 3" and c.line() == "abc"
    assert c.call("mg nothing v") == "EN" and c.call("mn") == "MN"
    assert c.call("nonsense") == "ERROR" and c.set("x" * 300, b"").startswith("CLIENT_ERROR")


def sizes(host):
    c, values = Client(host), {}
    for size in (0, 1, 1000, 1447, 1448, 1449, 65535, 65536, 300_000, 1_000_000):
        values[f"size{size}"] = random.randbytes(size)
        assert c.set(f"size{size}", values[f"size{size}"]) == "STORED"
    for key, value in values.items():
        assert c.get(key)[key][0] == value
    assert {k: v[0] for k, v in c.get(*values).items()} == values
    assert c.set("much", bytes(2_000_000)).startswith("SERVER_ERROR object too large")


def expires(host):
    c = Client(host)
    assert c.set("short", b"x", expiry=1) == "STORED" and "short" in c.get("short")
    end = time.monotonic() + 20
    while "short" in c.get("short"):
        assert time.monotonic() < end, "it does not expire"
        time.sleep(0.2)
    assert c.set("kept", b"x") == "STORED" and c.call("flush_all") == "OK" and c.get("kept") == {}


def work(host, number, failed):
    try:
        c, own, rand = Client(host), {}, random.Random(number)
        for _ in range(100):
            key = f"{number}-{rand.randrange(20)}"
            if rand.random() < 0.5:
                own[key] = rand.randbytes(rand.choice((3, 100, 5000, 20_000)))
                assert c.set(key, own[key]) == "STORED"
            elif rand.random() < 0.9:
                found = c.get(key)
                assert not found or found[key][0] == own[key]
            else:
                assert c.call(f"delete {key}") == ("DELETED" if own.pop(key, None) is not None else "NOT_FOUND")
    except Exception as e:  # an assertion of any thread is the test's
        failed.append(f"{number}: {e!r}")
        raise


def many(host):
    """Twenty that work, beside three hundred that are idle and some that go in the middle of a value."""
    idle, failed = [Client(host) for _ in range(300)], []
    for i in range(20):
        c = Client(host)
        c.socket.sendall(f"set half{i} 0 0 100000\r\n".encode() + bytes(i * 3000))
        c.socket.close()
        c.input.close()
    threads = [threading.Thread(target=work, args=(host, n, failed)) for n in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed
    assert all(c.call("version").startswith("VERSION ") for c in idle)
    assert not any(idle[0].get(f"half{i}") for i in range(20)), "half a value is no value"
    assert int(idle[0].stats()["curr_connections"]) >= 300


def evicts(host):
    c = Client(host)
    for i in range(60):  # 32 MiB is what it may have
        assert c.set(f"large{i}", bytes(1_000_000 - i)) == "STORED"
    assert len(c.get("large59")["large59"][0]) == 1_000_000 - 59
    assert int(c.stats()["evictions"]) > 0


def by_udp(host):
    c = Client(host)
    assert c.set("udp", b"datagram") == "STORED"
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(2)
    for n in range(1, 50):  # a datagram may be lost
        s.sendto(struct.pack("!HHHH", n, 0, 1, 0) + b"get udp\r\n", (host, PORT))
        try:
            answer = s.recv(1400)
        except TimeoutError:
            continue
        assert struct.unpack("!HHHH", answer[:8])[1:] == (0, 1, 0)
        assert answer[8:] == b"VALUE udp 0 8\r\ndatagram\r\nEND\r\n", answer
        return
    raise AssertionError("no answer by UDP")


for test in (one_of_each, sizes, expires, many, evicts, by_udp):
    test(sys.argv[1])
