"""Measuring one mail server: source and sink around it, its processes' CPU time, memory, writes and syncs.

Run as a program (`measure.py supervise COMMAND...`) it is the parent of a server: every process that the server leaves
behind becomes its child, so that what those used is counted even when they are gone.
"""

import ctypes
import json
import os
import pathlib
import re
import select
import signal
import smtplib
import socket
import subprocess
import sys
import time

TICKS = os.sysconf("SC_CLK_TCK")
PR_SET_CHILD_SUBREAPER = 36
PR_SET_PDEATHSIG = 1
SENDER, RECIPIENT = "sender@bench.example", "recipient@sink.example"
# A server that has not delivered everything by then has failed.
PATIENCE_SECONDS = 120


class Failed(Exception):
    """A server that did not do what it was asked."""


def supervise(command):
    """Runs a command, reaps all that it leaves, and ends everything below on SIGTERM."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    child = subprocess.Popen(command)
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: (stopping.append(True), child.terminate()))
    while True:
        try:
            pid, _ = os.waitpid(-1, 0)
        except ChildProcessError:
            return 0
        if pid == child.pid and stopping:
            for left in descendants(os.getpid())[1:]:
                try:
                    os.kill(left, signal.SIGKILL)
                except ProcessLookupError:
                    pass


def stat(pid):
    """Fields of /proc/PID/stat after the command's name."""
    text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return text[text.rindex(")") + 2:].split()


def descendants(root):
    """The process and all below it."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                children.setdefault(int(stat(name)[1]), []).append(int(name))
            except (FileNotFoundError, ProcessLookupError):
                pass
    found = [root]
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def each(roots, read):
    """Sums what `read` gives for every process at or below the roots."""
    total = 0
    for root in roots:
        for pid in descendants(root):
            try:
                total += read(pid)
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                pass
    return total


def cpu_seconds(roots):
    """CPU time of all processes and of the children that they have waited for."""
    return each(roots, lambda pid: sum(int(field) for field in stat(pid)[11:15])) / TICKS


def memory(roots):
    """Proportional set size: pages that processes share count once."""
    def pss(pid):
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        return int(re.search(r"^Pss:\s+(\d+) kB", text, re.M).group(1)) * 1024
    return each(roots, pss)


def written(roots):
    """Octets sent to the disk, children that have been waited for among them."""
    def octets(pid):
        text = pathlib.Path(f"/proc/{pid}/io").read_text()
        return int(re.search(r"^write_bytes: (\d+)", text, re.M).group(1))
    return each(roots, octets)


class Process:
    """A supervised server process."""

    def __init__(self, command, log, **more):
        self.log = open(log, "ab")
        here = [sys.executable, __file__, "supervise"]
        self.process = subprocess.Popen(here + [str(part) for part in command], stdout=self.log, stderr=self.log, **more)

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            for pid in reversed(descendants(self.pid)):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
        self.log.close()


class Sink:
    """Postfix's smtp-sink, with its counter."""

    def __init__(self, address, within=()):
        """`within`: a command that runs it somewhere else, such as in another network namespace."""
        # smtp-sink shares its port with others of its kind: the messages of two runs would be counted together.
        with socket.socket() as other:
            if other.connect_ex(address) == 0:
                raise Failed("another measurement runs: somebody listens at %s:%d already" % address)
        as_user = ["-u", "nobody"] if os.geteuid() == 0 else []
        command = [*within, "smtp-sink", *as_user, "-c", "-m", "2000", "inet:%s:%d" % address, "1024"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.tail = b""
        self.count = 0
        wait_for_port(address)

    def messages(self):
        """Messages taken since it was started."""
        while select.select([self.process.stdout], [], [], 0)[0]:
            piece = os.read(self.process.stdout.fileno(), 1 << 16)
            if not piece:
                raise Failed("smtp-sink has ended")
            self.tail = (self.tail + piece)[-200:]
        counts = re.findall(rb"mesg=\s*(\d+)\s", self.tail)
        self.count = int(counts[-1]) if counts else self.count
        return self.count

    def stop(self):
        self.process.kill()
        self.process.wait()


def wait_for_port(address, seconds=30):
    """Waits until somebody says `220` there."""
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection(address, 5) as connection:
                connection.settimeout(5)
                if connection.recv(100).startswith(b"220"):
                    connection.sendall(b"QUIT\r\n")
                    return
        except OSError:
            pass
        if time.monotonic() > end:
            raise Failed("nobody answers at %s:%d" % address)
        time.sleep(0.05)


def probe(address, sink, seconds=30):
    """Sends one message until it is taken, and waits for it: a service may listen before it knows the others."""
    before, end, taken = sink.messages(), time.monotonic() + seconds, False
    while not taken or sink.messages() == before:
        if time.monotonic() > end:
            raise Failed("no message goes through %s:%d" % address)
        if not taken:
            try:
                with smtplib.SMTP(*address, timeout=10) as client:
                    client.sendmail(SENDER, [RECIPIENT], "Subject: probe\r\n\r\nprobe\r\n")
                taken = True
            except (OSError, smtplib.SMTPException):
                pass
        time.sleep(0.05)


class Run:
    """What one run showed."""

    def __init__(self, roots, sink):
        self.roots, self.sink = roots, sink
        self.before = sink.messages()
        self.cpu, self.written = cpu_seconds(roots), written(roots)
        self.peak = 0
        self.started = time.monotonic()

    def finish(self, source, messages):
        """Waits for the source, then for the last delivery."""
        accepted = None
        sampled = 0.0
        while True:
            now = time.monotonic()
            if accepted is None and source.poll() is not None:
                accepted = now - self.started
                if source.returncode != 0:
                    raise Failed("the source failed: %s" % source.communicate()[1].decode(errors="replace").strip())
            delivered = self.sink.messages() - self.before
            if delivered >= messages and accepted is not None:
                break
            if now - self.started > PATIENCE_SECONDS:
                source.kill()
                raise Failed(f"{delivered} of {messages} messages were delivered in {PATIENCE_SECONDS} s")
            if now - sampled > 0.5 and self.roots:
                self.peak = max(self.peak, memory(self.roots))
                sampled = now
            time.sleep(0.004)
        elapsed = time.monotonic() - self.started
        return {
            "messages": messages, "acceptedPerSecond": messages / accepted, "deliveredPerSecond": messages / elapsed,
            "cpuSecondsPer1000": (cpu_seconds(self.roots) - self.cpu) * 1000 / messages,
            "writtenPerMessage": (written(self.roots) - self.written) / messages,
            "peakMemory": self.peak,
        }


def source(address, sessions, octets, messages):
    """Postfix's smtp-source, keeping its connections."""
    command = ["smtp-source", "-d", "-s", str(sessions), "-m", str(messages), "-l", str(octets), "-f", SENDER,
               "-t", RECIPIENT, "inet:%s:%d" % address]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def load(program, address, sessions, octets, messages):
    """Our own source, which knows latencies."""
    command = [program, "%s:%d" % address, "--sessions", str(sessions), "--octets", str(octets), "--messages",
               str(messages), "--sender", SENDER, "--recipient", RECIPIENT]
    return subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def syncs(roots, action):
    """Runs `action` with every process traced; gives how often they made something durable."""
    pids = [pid for root in roots for pid in descendants(root)]
    calls = "fsync,fdatasync,sync,syncfs,sync_file_range,msync"
    report = pathlib.Path(f"/tmp/postroad-bench-{os.getpid()}.strace")
    attached = [part for pid in pids for part in ("-p", str(pid))]
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-e", f"trace={calls}", "-o", str(report), *attached],
                              stderr=subprocess.DEVNULL)
    try:
        time.sleep(0.5)
        action()
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    counted = len(re.findall(r"^\d+ +(?:fsync|fdatasync|sync|syncfs|sync_file_range|msync)\(", report.read_text(), re.M))
    report.unlink()
    return counted


def latency(output):
    """The latencies that our own source printed."""
    return {name: value for name, value in json.loads(output).items() if name.startswith("p") or name == "max"}


if __name__ == "__main__":
    if sys.argv[1:2] == ["supervise"]:
        sys.exit(supervise(sys.argv[2:]))
    sys.exit(__doc__)
