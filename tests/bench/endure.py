"""What Postroad's Transport needs of memory: over minutes of full load, and with very many messages waiting.

`endure.py load` sends as much as it takes for ten minutes, and prints its memory as time goes by: it must not grow.
`endure.py queue` fills its queue while nobody takes the mail, ends it with SIGKILL, starts it again, and prints how long the
first delivery took. Both need `cargo build --release --workspace --bins`, and root as the benchmark does.
"""

import argparse
import json
import pathlib
import signal
import sys
import time

import measure
import servers

MIB = 1024 * 1024
SESSIONS = 64
# Messages of one load, after which the next begins.
ROUND = 40_000
SAMPLE_SECONDS = 10


def say(*words):
    print(*words, flush=True)


def load(options, server):
    """Memory every few seconds of full load."""
    sink = measure.Sink(servers.SINK)
    server.start()
    try:
        measure.probe(server.address, sink)
        started, sampled, sent, highest = time.monotonic(), 0.0, sink.messages(), {}
        source = None
        while time.monotonic() - started < options.minutes * 60 or source.poll() is None:
            if source is None or source.poll() is not None:
                if source is not None and source.returncode != 0:
                    raise measure.Failed(source.communicate()[1].decode(errors="replace"))
                source = measure.load(options.load, server.address, SESSIONS, options.octets, ROUND)
                sent += ROUND
            now = time.monotonic()
            if now - sampled > SAMPLE_SECONDS:
                minute = int((now - started) / 60)
                highest[minute] = max(highest.get(minute, 0), measure.memory(server.roots))
                sampled = now
            sink.messages()
            time.sleep(0.02)
        while sink.messages() < sent:
            time.sleep(0.02)
        elapsed = time.monotonic() - started
        for minute, octets in highest.items():
            say(f"minute {minute:2}  {octets / MIB:6.0f} MiB at most")
        say(f"{sent} messages of {options.octets} octets in {elapsed:.0f} s, {sent / elapsed:.0f}/s, all delivered")
    finally:
        server.stop()
        sink.stop()


def queue(options, server):
    """Memory with a full queue, and the way back from SIGKILL."""
    server.start()
    sink = None
    try:
        started = time.monotonic()
        source = measure.load(options.load, server.address, SESSIONS, options.octets, options.messages)
        sampled = time.monotonic()
        while source.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - sampled > 6 * SAMPLE_SECONDS:
                sampled = time.monotonic()
                say(f"  {sampled - started:4.0f} s: {measure.memory(server.roots) / MIB:.0f} MiB")
        output, errors = source.communicate()
        if source.returncode != 0:
            raise measure.Failed(errors.decode(errors="replace"))
        taken = json.loads(output)["messages"]
        say(f"{taken} messages of {options.octets} octets queued in {time.monotonic() - started:.0f} s: "
            f"{measure.memory(server.roots) / MIB:.0f} MiB")
        for root in server.roots:
            for pid in reversed(measure.descendants(root)[1:]):
                measure.os.kill(pid, signal.SIGKILL)
        server.stop()
        sink = measure.Sink(servers.SINK)
        started = time.monotonic()
        server.launch()
        while sink.messages() == 0:
            time.sleep(0.005)
        say(f"first delivery {time.monotonic() - started:.2f} s after the start")
        highest, reported = 0, time.monotonic()
        while sink.messages() < taken:
            highest = max(highest, measure.memory(server.roots))
            if time.monotonic() - reported > 6 * SAMPLE_SECONDS:
                reported = time.monotonic()
                say(f"  {sink.messages()} delivered")
            time.sleep(0.5)
        elapsed = time.monotonic() - started
        say(f"all delivered after {elapsed:.0f} s, {taken / elapsed:.0f}/s, {highest / MIB:.0f} MiB at most")
    finally:
        server.stop()
        if sink:
            sink.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["load", "queue"])
    parser.add_argument("--postroad", default="target/release/postroad", type=pathlib.Path)
    parser.add_argument("--load", default="target/release/smtp-load", type=pathlib.Path)
    parser.add_argument("--place", default="target/bench", type=pathlib.Path, help="queues, on the disk to be measured")
    parser.add_argument("--minutes", default=10, type=float)
    parser.add_argument("--messages", default=1_000_000, type=int)
    parser.add_argument("--octets", default=4096, type=int)
    options = parser.parse_args()
    place = options.place.resolve()
    place.mkdir(parents=True, exist_ok=True)
    server = servers.Transport(place / "endure", options.postroad.resolve())
    try:
        {"load": load, "queue": queue}[options.what](options, server)
    except measure.Failed as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
