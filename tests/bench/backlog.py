"""How fast a queue drains after an outage, over a link with delay, beside how fast the same mail goes when nothing is wrong.

The next hop is 50 ms away (there and back): a host outside, or another server of the organization. First as many messages as
`--fresh` go there as they come; then the next hop is away, `--messages` are queued, it comes back, and the time is taken from the
first delivery to the last. Ends with 1 when the backlog drains at less than 70 percent of the fresh rate.

Needs root, for network namespaces: `here` and `there` with a router between them, which holds every packet by the program that the
containers use where the kernel has no netem (deploy/docker/delay.pl).
"""

import argparse
import os
import pathlib
import subprocess
import sys
import time

import measure
import servers

SESSIONS = 64
RATIO_MIN = 0.7
HERE, THERE, ROUTER = (f"postroad-{name}-{os.environ.get('POSTROAD_BENCH', os.getpid())}"
                       for name in ("here", "there", "router"))
ADDRESS_HERE, ADDRESS_THERE = "10.79.1.2", "10.79.2.2"
DELAY_PROGRAM = pathlib.Path(__file__).resolve().parents[2] / "deploy/docker/delay.pl"
# Whoever is back is tried at once: what is measured is how fast the queue drains, not when it begins.
SERVER = ("  - {{name: {name}, fqdn: {name}.bench.example, site: Here, transport: {{maxPerDomainOutboundConnections: 64, "
          "queueGlitchRetryInterval: '00:00:01', transientFailureRetryInterval: '00:00:01', "
          "outboundConnectionFailureRetryInterval: '00:00:01'}}}}\n")


def ip(*words):
    subprocess.run(["ip", *map(str, words)], check=True)


def within(namespace, *command):
    return ["ip", "netns", "exec", namespace, *map(str, command)]


def sysctl(namespace, key):
    subprocess.run(within(namespace, "sh", "-c", f"echo {key.split('=')[1]} > /proc/sys/{key.split('=')[0]}"), check=True)


def connect(milliseconds):
    """Two namespaces, and a router that holds what goes between them. Gives the program that does."""
    for namespace in (HERE, THERE, ROUTER):
        ip("netns", "add", namespace)
        ip("-n", namespace, "link", "set", "lo", "up")
    for namespace, device, own, gateway in ((HERE, "to-here", ADDRESS_HERE, "10.79.1.1"),
                                            (THERE, "to-there", ADDRESS_THERE, "10.79.2.1")):
        ip("-n", namespace, "link", "add", "out", "type", "veth", "peer", "name", device, "netns", ROUTER)
        ip("-n", namespace, "address", "add", f"{own}/24", "dev", "out")
        ip("-n", ROUTER, "address", "add", f"{gateway}/24", "dev", device)
        ip("-n", namespace, "link", "set", "out", "up")
        ip("-n", ROUTER, "link", "set", device, "up")
        ip("-n", namespace, "route", "add", "default", "via", gateway)
    ip("-n", ROUTER, "tuntap", "add", "dev", "hold", "mode", "tun")
    ip("-n", ROUTER, "link", "set", "hold", "up")
    for key in ("net/ipv4/ip_forward=1", "net/ipv4/conf/all/rp_filter=0", "net/ipv4/conf/hold/rp_filter=0"):
        sysctl(ROUTER, key)
    holding = subprocess.Popen(within(ROUTER, "perl", DELAY_PROGRAM, "hold", milliseconds / 2))
    ip("-n", ROUTER, "route", "replace", "default", "dev", "hold", "table", 900)
    for device, subnet in (("to-here", "10.79.2.0/24"), ("to-there", "10.79.1.0/24")):
        ip("-n", ROUTER, "rule", "add", "pref", 900, "iif", device, "to", subnet, "lookup", 900)
    return holding


def disconnect(holding):
    if holding:
        holding.kill()
        holding.wait()
    for namespace in (HERE, THERE, ROUTER):
        subprocess.run(["ip", "netns", "del", namespace], stderr=subprocess.DEVNULL)


class ToHost(servers.Transport):
    """The host outside is far away."""

    far = "sink"


class ToServer(servers.TwoServers):
    """The server that has the Send connector is far away; the host outside is beside it."""

    far = "server"

    def launch(self):
        self.start_service("A")
        self.start_service("B")

    def start_service(self, server):
        command = [self.program, "transport", "--settings", self.place / f"{server}.toml", "--log", "warn"]
        self.run(within(THERE, *command) if server == "B" else command, cwd=self.place)


def far_sink():
    return measure.Sink(servers.SINK, within(THERE))


def delivered(sink, count, patience):
    """Waits for so many deliveries; when the first of them came, and the last."""
    before, first, end = sink.messages(), None, time.monotonic() + patience
    while sink.messages() < before + count:
        if first is None and sink.count > before:
            first = time.monotonic()
        if time.monotonic() > end:
            raise measure.Failed(f"{sink.count - before} of {count} messages were delivered in {patience} s")
        time.sleep(0.004)
    return first or time.monotonic(), time.monotonic()


def load(options, server, messages):
    source = measure.load(options.load, server.address, SESSIONS, options.octets, messages)
    output, errors = source.communicate()
    if source.returncode != 0:
        raise measure.Failed(errors.decode(errors="replace"))


def one(options, server):
    sink = far_sink()
    server.start()
    try:
        measure.probe(server.address, sink)
        source = measure.load(options.load, server.address, SESSIONS, options.octets, options.fresh)
        first, last = delivered(sink, options.fresh, options.patience)
        source.communicate()
        fresh = options.fresh / (last - first)
        if server.far == "sink":
            sink.stop()
            sink = None
        else:
            server.processes.pop().stop()
        load(options, server, options.messages)
        if server.far == "sink":
            sink = far_sink()
        else:
            server.start_service("B")
        first, last = delivered(sink, options.messages, options.patience)
        backlog = options.messages / (last - first)
        ratio = backlog / fresh
        print(f"next hop: {server.far:6}  round trip {options.delay} ms  fresh {fresh:.0f}/s  backlog of {options.messages} "
              f"{backlog:.0f}/s  {ratio:.0%}", flush=True)
        return ratio
    finally:
        server.stop()
        if sink:
            sink.stop()


def inside(options):
    """In the namespace `here`."""
    servers.SINK = (ADDRESS_THERE, servers.PORT)
    servers.ADDRESSES.update({"A": ADDRESS_HERE, "B": ADDRESS_THERE})
    servers.SERVER = SERVER
    servers.Postroad.address = (ADDRESS_HERE, servers.PORT + 1)
    place = options.place.resolve()
    place.mkdir(parents=True, exist_ok=True)
    ways = {"host": ToHost, "server": ToServer}
    chosen = [ways[options.way]] if options.way else ways.values()
    ratios = [one(options, way(place / "backlog", options.postroad.resolve())) for way in chosen]
    return 0 if min(ratios) >= RATIO_MIN else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("way", nargs="?", choices=["host", "server"], help="both when left out")
    parser.add_argument("--postroad", default="target/release/postroad", type=pathlib.Path)
    parser.add_argument("--load", default="target/release/smtp-load", type=pathlib.Path)
    parser.add_argument("--place", default="target/bench", type=pathlib.Path, help="queues, on the disk to be measured")
    parser.add_argument("--messages", default=100_000, type=int)
    parser.add_argument("--fresh", default=50_000, type=int)
    parser.add_argument("--octets", default=4096, type=int)
    parser.add_argument("--delay", default=50, type=float, help="milliseconds, there and back")
    parser.add_argument("--patience", default=1800, type=float, help="seconds for each of the two measurements")
    options = parser.parse_args()
    if "POSTROAD_BENCH" in os.environ:
        try:
            sys.exit(inside(options))
        except measure.Failed as error:
            sys.exit(str(error))
    holding = None
    try:
        holding = connect(options.delay)
        environment = {**os.environ, "POSTROAD_BENCH": str(os.getpid())}
        done = subprocess.run(within(HERE, sys.executable, *sys.argv), env=environment)
        sys.exit(done.returncode)
    finally:
        disconnect(holding)


if __name__ == "__main__":
    main()
