# SPDX-License-Identifier: MIT
"""Drives the beanstalkd at argv[1], port 11300, through its protocol; for beanstalkd.sh. Ends with status 0 if every
answer is what doc/protocol.txt of beanstalkd says."""
import random
import socket
import sys
import time

PORT = 11300


class Client:
    def __init__(self, host, seconds=60):
        self.socket = socket.create_connection((host, PORT), seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.socket.makefile("rb")

    def send(self, line, body=None):
        self.socket.sendall(line.encode() + b"\r\n" + (b"" if body is None else body + b"\r\n"))

    def answer(self):
        line = self.input.readline()
        assert line.endswith(b"\r\n"), f"cut off: {line!r}"
        words = line.decode().split()
        if words[0] not in ("RESERVED", "FOUND", "OK"):
            return words, None
        size = int(words[-1])
        body = self.input.read(size + 2)
        assert len(body) == size + 2 and body.endswith(b"\r\n"), "a body that is cut off"
        return words, body[:-2]

    def call(self, line, body=None):
        self.send(line, body)
        return self.answer()

    def put(self, body, priority=100, delay=0, run=60):
        words, _ = self.call(f"put {priority} {delay} {run} {len(body)}", body)
        assert words[0] == "INSERTED", words
        return words[1]

    def reserve(self):
        words, body = self.call("reserve-with-timeout 30")
        assert words[0] == "RESERVED", words
        return words[1], body

    def delete(self, job):
        assert self.call(f"delete {job}")[0] == ["DELETED"]

    def stats(self):
        return dict(line.split(": ") for line in self.call("stats")[1].decode().splitlines()[1:])


def connect(host):
    end = time.monotonic() + 60
    while True:
        try:
            return Client(host, 5)
        except OSError:
            assert time.monotonic() < end, "beanstalkd does not answer"
            time.sleep(0.2)


def bodies(client):
    for size in (0, 1, 100, 4096, 65535, 1 << 20, 4 << 20):
        body = random.randbytes(size)
        job = client.put(body)
        assert client.reserve() == (job, body), f"a body of {size} bytes changed"
        client.delete(job)
    assert client.call(f"put 1 0 60 {(4 << 20) + 1}", bytes((4 << 20) + 1))[0] == ["JOB_TOO_BIG"]
    assert client.call("delete 999999999")[0] == ["NOT_FOUND"]
    assert client.call("nonsense")[0] == ["UNKNOWN_COMMAND"]


def order(client):
    for priority in (300, 100, 200):
        client.put(str(priority).encode(), priority)
    for priority in (100, 200, 300):
        job, body = client.reserve()
        assert body == str(priority).encode(), body
        client.delete(job)
    client.put(b"later", delay=1)
    assert client.call("reserve-with-timeout 0")[0] == ["TIMED_OUT"]
    job, body = client.reserve()
    assert body == b"later"
    client.delete(job)


def waiting(client, host):
    """A reserve that waits is answered by another connection's put; who dies with a job gives it back."""
    workers = [Client(host) for _ in range(20)]
    for worker in workers:
        worker.send("reserve")
    while client.stats()["current-waiting"] != "20":
        time.sleep(0.05)
    jobs = {client.put(b"job %d" % n) for n in range(20)}
    assert {worker.answer()[0][1] for worker in workers} == jobs
    for worker in workers:
        worker.input.close()
        worker.socket.close()
    given_back = [client.reserve()[0] for _ in range(20)]
    assert set(given_back) == jobs, "jobs of dead connections are lost"
    for job in given_back:
        client.delete(job)


def load(client, host):
    """3,000 jobs put in one go, taken by 50 connections, with many more that are idle or gone at once."""
    idle = [Client(host) for _ in range(300)]
    for _ in range(200):
        Client(host).socket.close()
    wanted = {b"payload %d" % n for n in range(3000)}
    producer = Client(host)
    producer.socket.sendall(b"".join(b"put 1 0 60 %d\r\n%s\r\n" % (len(body), body) for body in wanted))
    workers = [Client(host) for _ in range(50)]
    got = set()
    for _ in range(60):
        for worker in workers:
            worker.send("reserve")
        for worker in workers:
            words, body = worker.answer()
            got.add(body)
            worker.send(f"delete {words[1]}")
        for worker in workers:
            assert worker.answer()[0] == ["DELETED"]
    assert got == wanted, f"{len(got)} of 3000 jobs arrived"
    for _ in wanted:
        assert producer.answer()[0][0] == "INSERTED"
    assert all(one.call("list-tube-used")[0] == ["USING", "default"] for one in idle)
    stats = client.stats()
    assert stats["current-jobs-ready"] == stats["current-jobs-reserved"] == "0", stats
    print(f"beanstalkd: {stats['total-jobs']} jobs, {stats['total-connections']} connections")


def main():
    host = sys.argv[1]
    client = connect(host)
    client.socket.settimeout(60)
    assert client.stats()["version"].strip('"') == "1.13"
    bodies(client)
    order(client)
    waiting(client, host)
    load(client, host)
    written = int(client.stats()["binlog-records-written"])
    assert written > 3000, f"{written} records in the log"


main()
