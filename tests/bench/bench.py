"""Measures Postroad beside Postfix, Exim and OpenSMTPD: Debian's smtp-source, a server, Debian's smtp-sink.

Every server must make a message durable before it says 250, and send it on. Runs alternate between the servers, the
figures are medians, and the raw results stay in a JSON file. Run it as root, on a machine that does nothing else:
ratios and CPU-seconds mean something on any machine, messages per second only on the one that they come from.
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import signal
import statistics
import sys
import time

import chart
import measure
import servers

KIB = 1024
# Sessions and octets.
SCENARIOS = [(1, 4 * KIB), (8, 4 * KIB), (64, 4 * KIB), (256, 4 * KIB), (64, 64 * KIB), (64, KIB * KIB)]
QUICK_SCENARIOS = [(8, 4 * KIB), (64, 4 * KIB)]
# Messages of one run, from the rate of the run before; the first is a guess.
FIRST_MESSAGES = 150
MESSAGES_MIN, MESSAGES_MAX = 64, 40_000
# Messages whose syncs are counted, and where. One session waits for each of its messages: a server that makes them durable
# syncs at least once for each. With many sessions it is seen how they share.
TRACED_MESSAGES = 300
TRACED_SCENARIOS = [(1, 4 * KIB), (64, 4 * KIB)]
# Ends the name of a server that runs the other program.
BESIDE = ", beside"
# Samples of the pairs from which the interval of their ratio is taken.
RESAMPLES = 2000


class Direct(servers.Server):
    """No server at all: the ceiling."""

    name = "source to sink"
    address = servers.SINK

    def start(self):
        pass

    roots = []


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--postroad", default="target/release/postroad", type=pathlib.Path)
    parser.add_argument("--beside", type=pathlib.Path, help="another postroad, such as of an earlier state: measured in turns with the "
                        "first, with the ratio of each pair of runs")
    parser.add_argument("--load", default="target/release/smtp-load", type=pathlib.Path)
    parser.add_argument("--place", default="target/bench", type=pathlib.Path, help="queues, on the disk to be measured")
    parser.add_argument("--runs", default=5, type=int, help="runs of each server in each scenario")
    parser.add_argument("--seconds", default=1.2, type=float, help="about how long one run lasts")
    parser.add_argument("--quick", action="store_true", help="two scenarios, one run, no syncs: about three minutes")
    parser.add_argument("--only", default="", help="servers whose names contain one of these words, comma between")
    parser.add_argument("--scenario", action="append", default=[], help="SESSIONSxOCTETS, such as 64x4096")
    parser.add_argument("--results", default="target/bench/results.json", type=pathlib.Path)
    parser.add_argument("--chart", type=pathlib.Path, help="where to draw the figures as SVG")
    parser.add_argument("--draw", type=pathlib.Path, help="draw the chart of earlier results and do nothing else")
    return parser.parse_args()


def chosen(options):
    place = options.place.resolve()
    every = [Direct(place / "direct")]
    every += [make(place / make.__name__.lower()) for make in servers.OTHERS]
    for make in servers.OURS:
        every.append(make(place / make.__name__.lower(), options.postroad.resolve()))
        if options.beside:
            every.append(make(place / f"{make.__name__.lower()}-beside", options.beside.resolve()))
            every[-1].name += BESIDE
    words = [word.lower() for word in options.only.split(",") if word]
    return [server for server in every if not words or any(word in server.name.lower() for word in words)]


def one_run(server, sink, kind, sessions, octets, messages, options):
    run = measure.Run(server.roots, sink)
    if kind == "latency":
        source = measure.load(options.load, server.address, sessions, octets, messages)
    else:
        source = measure.source(server.address, sessions, octets, messages)
    result = run.finish(source, messages)
    if kind == "latency":
        result["latency"] = measure.latency(source.stdout.read())
    return {"server": server.name, "sessions": sessions, "octets": octets, "kind": kind, **result}


class Bench:
    """All servers, all scenarios."""

    def __init__(self, options):
        self.options = options
        self.results, self.skipped, self.rates = [], {}, {}

    def messages(self, server, scenario):
        # Every session sends something.
        least = max(MESSAGES_MIN, 2 * scenario[0])
        rate = self.rates.get((server.name, scenario))
        if rate is None:
            return max(least, FIRST_MESSAGES // (1 + scenario[1] // (64 * KIB)))
        return int(min(MESSAGES_MAX, max(least, rate * self.options.seconds)))

    def measure(self, server, scenario, kind):
        """One server from an empty queue to an empty queue."""
        if server.name in self.skipped:
            return
        sink = measure.Sink(servers.SINK)
        try:
            server.start()
            measure.probe(server.address, sink)
            # The first messages meet cold caches and an unknown rate.
            warm = one_run(server, sink, "warm", *scenario, self.messages(server, scenario) // 3 + 1, self.options)
            self.rates.setdefault((server.name, scenario), warm["deliveredPerSecond"])
            messages = self.messages(server, scenario)
            if kind == "syncs":
                def work():
                    one_run(server, sink, kind, *scenario, TRACED_MESSAGES, self.options)
                count = measure.syncs(server.roots, work)
                result = {"server": server.name, "sessions": scenario[0], "octets": scenario[1], "kind": kind,
                          "syncsPerMessage": count / TRACED_MESSAGES}
            else:
                result = one_run(server, sink, kind, *scenario, messages, self.options)
                self.rates[server.name, scenario] = result["deliveredPerSecond"]
            self.results.append(result)
        except (measure.Failed, OSError) as error:
            print(f"  {server.name}: {error}", file=sys.stderr)
            if not any(result["server"] == server.name for result in self.results):
                self.skipped[server.name] = str(error)
        finally:
            server.stop()
            sink.stop()

    def scenario(self, every, scenario, runs):
        for turn, kind in enumerate(["throughput"] * runs + ["latency"]):
            # There and back again: what the machine does meanwhile meets the first as often as the last.
            for server in every if turn % 2 == 0 else reversed(every):
                self.measure(server, scenario, kind)
        if not self.options.quick:
            for server in every:
                if server.roots is not Direct.roots and scenario in TRACED_SCENARIOS:
                    self.measure(server, scenario, "syncs")

    def undurable(self):
        """Servers that said 250 to a lone session more often than they synced."""
        return {result["server"] for result in self.results
                if result["kind"] == "syncs" and result["sessions"] == 1 and result["syncsPerMessage"] < 1}

    def pairs(self):
        """What the first program took of the other's in each pair of runs: medians, and where 95 of 100 samples of the pairs have them."""
        throughput = [result for result in self.results if result["kind"] == "throughput"]
        rows = []
        for scenario in sorted({(result["sessions"], result["octets"]) for result in throughput}):
            for name in dict.fromkeys(result["server"] for result in throughput if not result["server"].endswith(BESIDE)):
                def runs(of):
                    return [result for result in throughput
                            if result["server"] == of and (result["sessions"], result["octets"]) == scenario]
                both = list(zip(runs(name), runs(name + BESIDE)))
                for key in ("deliveredPerSecond", "cpuSecondsPer1000"):
                    ratios = [one[key] / other[key] for one, other in both if other[key]]
                    if len(ratios) > 1:
                        rows.append({"server": name, "sessions": scenario[0], "octets": scenario[1], "key": key, "pairs": len(ratios),
                                     "ratio": statistics.median(ratios), "interval": interval(ratios)})
        return rows

    def summary(self):
        """Medians by scenario and server."""
        table = []
        for scenario in sorted({(result["sessions"], result["octets"]) for result in self.results},
                               key=lambda scenario: (scenario[1], scenario[0])):
            here = [result for result in self.results if (result["sessions"], result["octets"]) == scenario]
            for name in dict.fromkeys(result["server"] for result in here):
                mine = [result for result in here if result["server"] == name]
                row = {"sessions": scenario[0], "octets": scenario[1], "server": name}
                for key in ("acceptedPerSecond", "deliveredPerSecond", "cpuSecondsPer1000", "writtenPerMessage"):
                    values = [result[key] for result in mine if result["kind"] == "throughput"]
                    row[key] = statistics.median(values) if values else None
                row["peakMemory"] = max([result["peakMemory"] for result in mine if "peakMemory" in result], default=None)
                row["durable"] = name not in self.undurable()
                for result in mine:
                    row.update(result.get("latency", {}))
                    if "syncsPerMessage" in result:
                        row["syncsPerMessage"] = result["syncsPerMessage"]
                table.append(row)
            postfix = next((row for row in table if row["server"] == "Postfix" and row["sessions"] == scenario[0]
                            and row["octets"] == scenario[1]), None)
            for row in table:
                if postfix and (row["sessions"], row["octets"]) == scenario:
                    for key, name in (("deliveredPerSecond", "timesPostfix"), ("cpuSecondsPer1000", "cpuOfPostfix")):
                        if row[key] is not None and postfix[key]:
                            row[name] = row[key] / postfix[key]
        return table


def interval(ratios):
    """Where the middle 95 of 100 medians of samples lie."""
    chance = random.Random(1)
    medians = sorted(statistics.median(chance.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return [medians[RESAMPLES * 25 // 1000], medians[RESAMPLES * 975 // 1000]]


def show_pairs(rows):
    for row in rows:
        what = "delivered" if row["key"] == "deliveredPerSecond" else "CPU"
        print(f"{row['server']}, {row['sessions']} sessions, {row['octets'] // KIB} KiB: {what} {row['ratio']:.3f} of the other program's, "
              f"95 of 100 within {row['interval'][0]:.3f} to {row['interval'][1]:.3f} ({row['pairs']} pairs)")


def show(table):
    def text(value, form):
        return "-" if value is None else form % value
    scenario = None
    for row in table:
        if scenario != (row["sessions"], row["octets"]):
            scenario = (row["sessions"], row["octets"])
            print(f"\n{scenario[0]} sessions, {scenario[1] // KIB} KiB")
            print(f"  {'':32}{'accepted':>10}{'delivered':>10}{'×Postfix':>9}{'CPU s/1000':>11}{'of Postfix':>11}"
                  f"{'p50 ms':>8}{'p99 ms':>8}{'p99.9':>8}{'syncs':>7}{'KiB out':>8}{'MiB':>6}")
        get = row.get
        print(f"  {row['server']:32}{text(get('acceptedPerSecond'), '%.0f'):>10}{text(get('deliveredPerSecond'), '%.0f'):>10}"
              f"{text(get('timesPostfix'), '%.1f'):>9}{text(get('cpuSecondsPer1000'), '%.3f'):>11}"
              f"{text(get('cpuOfPostfix') and get('cpuOfPostfix') * 100, '%.0f %%'):>11}"
              f"{text(get('p50'), '%.1f'):>8}{text(get('p99'), '%.1f'):>8}{text(get('p999'), '%.1f'):>8}"
              f"{text(get('syncsPerMessage'), '%.2f'):>7}"
              f"{text(get('writtenPerMessage') and get('writtenPerMessage') / KIB, '%.1f'):>8}"
              f"{text(get('peakMemory') and get('peakMemory') / KIB / KIB, '%.0f'):>6}")


def main():
    options = arguments()
    if options.draw:
        return chart.draw(json.loads(options.draw.read_text()), options.chart)
    if os.geteuid() != 0:
        sys.exit("the other servers need root to start: run it as root, or with sudo")
    started = time.monotonic()
    scenarios = [tuple(int(part) for part in text.split("x")) for text in options.scenario]
    scenarios = scenarios or (QUICK_SCENARIOS if options.quick else SCENARIOS)
    runs = 1 if options.quick else options.runs
    bench, every = Bench(options), chosen(options)
    options.place.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        for scenario in scenarios:
            print(f"{scenario[0]} sessions, {scenario[1] // KIB} KiB …", file=sys.stderr)
            bench.scenario(every, scenario, runs)
    except KeyboardInterrupt:
        print("stopped: these are the figures up to now", file=sys.stderr)
    table = bench.summary()
    show(table)
    pairs = bench.pairs()
    if pairs:
        print()
        show_pairs(pairs)
    for name in sorted(bench.undurable()):
        print(f"\n{name} said 250 before it had made a message durable: its figures compare with nobody's")
    for name, why in bench.skipped.items():
        print(f"\n{name} was not measured: {why}")
    report = {"date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
              "machine": f"{os.cpu_count()} cores, {platform.platform()}", "runs": runs, "summary": table, "pairs": pairs,
              "skipped": bench.skipped, "results": bench.results}
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.write_text(json.dumps(report, indent=1) + "\n")
    if options.chart:
        chart.draw(report, options.chart)
    print(f"\n{time.monotonic() - started:.0f} s; raw results in {options.results}")


if __name__ == "__main__":
    main()
