"""What a message costs in an organization of a million recipients, beside one of a thousand.

Two organizations of one server each, the same but for their recipients; both run Transport and Mailbox Transport Delivery at the
same time and take mail in turns, round after round:

- `few`: to the mailboxes of the small organization;
- `hot`: to as many mailboxes of the large one, always the same;
- `wide`: to mailboxes of the large one, every message to another, more than a service remembers; each has had a message before, since
  the first to a mailbox makes its folders, whatever else there is.

A round's cost is the processor time of the services until every message is in its mailbox; the figures are medians of the rounds,
and ratios to `few`. Also told: how long each service takes from its start until it is ready, and its memory. Needs
`cargo build --release --workspace --bins`.
"""

import argparse
import pathlib
import re
import shutil
import signal
import statistics
import time
import urllib.request

import directories
import measure
from directories import FOREST, SERVER, say

SMALL = 1_000
# A service that has not delivered everything by then has failed.
PATIENCE_SECONDS = 1_800
SESSIONS = 16
# Mailboxes of the small organization to which mail goes, and of the large one that are hot.
HOT = SMALL // directories.ONE_OF * (directories.ONE_OF - 3)
PORTS = {"smtp": 2526, "transport": 7525, "mailbox-delivery": 5475, "transport-metrics": 9525,
         "mailbox-delivery-metrics": 9475}
HOSTS = {directories.Embedded: ("127.79.0.20", "127.79.0.21"), directories.Etcd: ("127.79.0.22", "127.79.0.23")}
SERVICES = ("mailbox-delivery", "transport")
FAST = "transport: {maxConnectionRatePerMinute: 2147483647}"


class Organization:
    """One server with so many recipients."""

    def __init__(self, options, kind, host, recipients):
        self.options, self.host, self.recipients = options, host, recipients
        self.place = options.place.resolve() / f"{kind.__name__.lower()}-{recipients}"
        self.directory = kind(self.place)
        self.processes = {}

    def prepare(self):
        """Brings the organization into the directory, or takes the one that is there."""
        if not (self.options.keep and self.directory.is_there):
            shutil.rmtree(self.place, ignore_errors=True)
            self.place.mkdir(parents=True)
            directories.identity(self.options.postroad, self.place)
            self.directory.start()
            path = self.place / "organization.yaml"
            directories.generate(self.options.postroad, path, sites=1, servers=1, connectors=1, recipients=self.recipients)
            self.complete(path)
            settings = directories.settings(self.place, self.directory)
            directories.run([self.options.postroad, "apply", path, "--yes", "--settings", settings])
            path.unlink()
        else:
            self.directory.start()
        services = "".join(f"[services.{service}]\norganization = \"{self.host}:{PORTS[service]}\"\n"
                           f"metrics = \"{self.host}:{PORTS[service + '-metrics']}\"\n" for service in SERVICES)
        nowhere = f"smtp = \"{self.host}:0\"\nsubmission = \"{self.host}:0\"\n"
        self.settings = directories.settings(self.place, self.directory, services + nowhere)

    def complete(self, path):
        """What a generated organization does not have: an entrance, and no limit on how fast it takes mail."""
        whole = path.with_name("whole.yaml")
        with path.open() as lines, whole.open("w") as to:
            for line in lines:
                if line.startswith(f"  - {{name: {SERVER},"):
                    line = line.replace("}\n", f", {FAST}}}\n")
                if line.startswith("recipients:"):
                    to.write(f"receiveConnectors:\n  - {{name: Load, server: {SERVER}, transportRole: HubTransport, "
                             f"bindings: ['{self.host}:{PORTS['smtp']}'], authMechanism: [ExternalAuthoritative], "
                             "permissionGroups: [ExchangeServers], maxInboundConnectionPerSource: unlimited, "
                             "maxInboundConnectionPercentagePerSource: 100}\n")
                to.write(line)
        whole.rename(path)

    def start(self):
        """Starts the services, one after the other; seconds until each is ready."""
        ready = {}
        for service in SERVICES:
            started = time.monotonic()
            command = [self.options.postroad, service, "--settings", self.settings, "--log", "warn"]
            self.processes[service] = measure.Process(command, self.place / "log", cwd=self.place)
            while self.get(service, "ready") is None:
                if time.monotonic() - started > 60:
                    raise measure.Failed(f"{service} is not ready: {self.place / 'log'}")
                time.sleep(0.005)
            ready[service] = time.monotonic() - started
        return ready

    def get(self, service, page):
        try:
            with urllib.request.urlopen(f"http://{self.host}:{PORTS[service + '-metrics']}/{page}", timeout=5) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def delivered(self):
        """Messages that are in their mailboxes."""
        counted = re.findall(r"^postroad_messages_delivered_total\{.*\} (\d+)$", self.get("transport", "metrics") or "", re.M)
        return sum(map(int, counted))

    def cpu(self):
        used = {service: measure.cpu_seconds([process.pid]) for service, process in self.processes.items()}
        return used | {"etcd": self.directory.cpu()}

    def send(self, recipients, messages):
        """Sends so many messages; seconds of the processor for a thousand of them, by service."""
        path = self.place / "recipients"
        path.write_text("\n".join(recipients) + "\n")
        wanted, before, started = self.delivered() + messages, self.cpu(), time.monotonic()
        command = [self.options.load, f"{self.host}:{PORTS['smtp']}", "--sessions", SESSIONS, "--messages", messages,
                   "--octets", self.options.octets, "--sender", f"postmaster@{FOREST}", "--recipients", path]
        directories.run(command)
        while self.delivered() < wanted:
            if time.monotonic() - started > PATIENCE_SECONDS:
                raise measure.Failed(f"{self.delivered() - wanted + messages} of {messages} messages were delivered in time")
            time.sleep(0.2)
        after = self.cpu()
        return {service: (after[service] - before[service]) * 1000 / messages for service in after}

    def stop(self):
        for process in self.processes.values():
            process.stop()
        self.processes = {}
        self.directory.stop()


def rounds(options, small, large):
    """Costs of all rounds, by kind of mail."""
    few, hot = (directories.mailboxes(one.recipients, HOT) for one in (small, large))
    every = large.recipients // directories.ONE_OF * (directories.ONE_OF - 3)
    wide = directories.mailboxes(large.recipients, min(options.rounds * options.messages, every), 1)
    small.send(few, options.messages)
    large.send(hot, options.messages)
    large.send(wide, len(wide))
    costs = {"few": [], "hot": [], "wide": []}
    for number in range(options.rounds):
        at = number * options.messages % len(wide)
        turn = [("few", small, few), ("hot", large, hot), ("wide", large, wide[at:at + options.messages])]
        # Whoever comes first in one round comes last in the next.
        for kind, organization, recipients in turn if number % 2 else reversed(turn):
            costs[kind].append(organization.send(recipients, options.messages))
    return costs


def show(options, costs):
    def median(kind, services):
        return statistics.median(sum(cost[service] for service in services) for cost in costs[kind])
    for services in (["transport"], list(SERVICES), ["etcd"]):
        base = median("few", services)
        if base:
            each = "   ".join(f"{kind} {median(kind, services):6.3f} ({median(kind, services) / base:4.2f})" for kind in costs)
            say(f"  {' + '.join(services):30} {each}")


def compare(options, kind):
    pair = [Organization(options, kind, host, count) for host, count in zip(HOSTS[kind], (SMALL, options.recipients))]
    small, large = pair
    say(f"{kind.name}, {SMALL} and {options.recipients} recipients:")
    try:
        for one in pair:
            one.prepare()
            ready = one.start()
            told = ", ".join(f"{service} {seconds:.2f} s" for service, seconds in ready.items())
            say(f"  {one.recipients} recipients: ready after the start: {told}")
        costs = rounds(options, small, large)
        say(f"  seconds of the processor for 1,000 messages of {options.octets} octets, medians of {options.rounds} rounds of "
            f"{options.messages} (times few):")
        show(options, costs)
        for one in pair:
            told = ", ".join(f"{service} {measure.memory([process.pid]) / 1e6:.0f} MB" for service, process in one.processes.items())
            say(f"  memory with {one.recipients} recipients: {told}")
    finally:
        for one in pair:
            one.stop()
            if not options.keep:
                shutil.rmtree(one.place, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipients", nargs="?", type=int, default=1_000_000)
    parser.add_argument("--postroad", default="target/release/postroad", type=pathlib.Path)
    parser.add_argument("--load", default="target/release/smtp-load", type=pathlib.Path)
    parser.add_argument("--place", default="target/recipients", type=pathlib.Path, help="files, on the disk to be measured")
    parser.add_argument("--rounds", default=7, type=int)
    parser.add_argument("--messages", default=9_000, type=int, help="of each kind in a round")
    parser.add_argument("--octets", default=4096, type=int)
    parser.add_argument("--only", choices=["embedded", "etcd"])
    parser.add_argument("--keep", action="store_true", help="take directories that are there, and leave them there")
    options = parser.parse_args()
    options.postroad, options.load = options.postroad.resolve(), options.load.resolve()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for kind in (directories.Embedded, directories.Etcd):
            if options.only in (None, kind.__name__.lower()):
                compare(options, kind)
    except measure.Failed as error:
        directories.fail(error)


if __name__ == "__main__":
    main()
