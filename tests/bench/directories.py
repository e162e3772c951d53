"""What a directory is measured in: an organization of `postroad generate`, brought by `postroad apply` into a file or into an etcd of
its own on free ports."""

import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

from measure import Failed, Process, cpu_seconds, descendants

FOREST = "corp.example"
# The first server of every organization of `postroad generate`.
SERVER = "S000-MBX1"
# One of so many recipients is a contact, another one a group; the others are mailboxes.
ONE_OF = 20


def mailboxes(recipients, count, first=0):
    """Addresses of so many mailboxes, far from one another; those of another `first` are others."""
    step, found, at = 617_353, [], first * ONE_OF % recipients
    while len(found) < count:
        at = (at + step) % recipients
        if at % ONE_OF > 2:
            found.append(f"user{at:07}@{FOREST}")
    return found


def free_ports(count):
    """Ports of the loopback address that nobody has now."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def files(root):
    """Octets of all files below a folder."""
    return sum(path.stat().st_size for path in pathlib.Path(root).rglob("*") if path.is_file())


class Embedded:
    """A SQLite file."""

    name = "a file"

    def __init__(self, place):
        self.file = place / "directory.db"
        self.argument = self.file

    def start(self):
        pass

    def stop(self):
        pass

    def settings(self):
        return f"[directory]\nkind = \"embedded\"\npath = \"{self.file}\"\n"

    def cpu(self):
        return 0.0

    def told(self):
        return f"the file {self.file.stat().st_size / 1e6:.0f} MB"

    @property
    def is_there(self):
        return self.file.exists()


class Etcd:
    """An etcd of one member with a quota of 8 GiB, without TLS."""

    name = "etcd"

    def __init__(self, place):
        self.place, self.process = place, None

    def start(self):
        self.place.mkdir(parents=True, exist_ok=True)
        client, peer = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        self.argument = client
        self.process = Process(["etcd", "--data-dir", self.place / "etcd", "--quota-backend-bytes", 8 << 30,
                                "--auto-compaction-retention", "1h", "--log-level", "error",
                                "--listen-client-urls", client, "--advertise-client-urls", client,
                                "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                                "--initial-cluster", f"default={peer}"], self.place / "etcd.log")
        end = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(client + "/health", timeout=5) as answer:
                    if b'"true"' in answer.read():
                        return
            except OSError:
                pass
            if time.monotonic() > end:
                raise Failed(f"etcd does not answer: {self.place / 'etcd.log'} says why")
            time.sleep(0.1)

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def settings(self):
        return f"[directory]\nkind = \"etcd\"\nendpoints = [\"{self.argument}\"]\n"

    def cpu(self):
        return cpu_seconds([self.process.pid])

    def told(self):
        resident = sum(resident_set(pid) for pid in descendants(self.process.pid)[1:])
        base = (self.place / "etcd/member/snap/db").stat().st_size
        return f"etcd's base {base / 1e6:.0f} MB, its memory {resident / 1e6:.0f} MB"

    @property
    def is_there(self):
        return (self.place / "etcd").exists()


def resident_set(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def generate(program, path, *, sites, servers, connectors, recipients):
    run([program, "generate", "--sites", sites, "--servers", servers, "--connectors", connectors, "--recipients", recipients,
         "--domain", FOREST, "--output", path])


def identity(program, place):
    """Keys and certificates of the organization and of its first server."""
    run([program, "cert", "init", "--forest", FOREST, "--path", place / "authority"])
    run([program, "cert", "issue", "--ca", place / "authority", "--server", SERVER, "--fqdn", f"{SERVER.lower()}.{FOREST}",
         "--path", place / "identity"])


def settings(place, directory, more=""):
    """Settings of that server, in a file."""
    path = place / f"{directory.name.split()[-1]}.toml"
    path.write_text(f"server = \"{SERVER}\"\nforest = \"{FOREST}\"\nstate = \"{place}/state\"\n{directory.settings()}"
                    f"[identity]\npath = \"{place}/identity\"\n{more}")
    return path


class Cost:
    """What a command took."""

    def __init__(self, seconds, processor, memory):
        self.seconds, self.processor, self.memory = seconds, processor, memory


def run(command):
    """Runs a command; what it took."""
    started = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read().decode(errors="replace")
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise Failed(f"{' '.join(map(str, command))}: {output[-2000:]}")
    return Cost(time.monotonic() - started, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)


def say(*words):
    print(*words, flush=True)


def fail(error):
    sys.exit(f"error: {error}")
