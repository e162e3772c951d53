"""Measures a directory of a large organization (60 sites, 300 servers, 2,000 connectors and as many recipients as are wanted), in a
file and in an etcd: `postroad apply` the first time, again without changes, and with one; then what a service asks of it (the
example `size_bench` of the crate `directory`).

Files are in --place and are removed at the end. Seconds of the processor and memory are those of the command alone; etcd's own
are told apart.
"""

import argparse
import pathlib
import shutil
import subprocess

import directories
from directories import say
from measure import Failed

SITES, SERVERS, CONNECTORS = 60, 300, 2_000


def told(what, cost, etcd):
    also = f"  etcd {etcd:8.1f}" if etcd else ""
    say(f"  {what:30} {cost.seconds:8.1f} s  processor {cost.processor:8.1f} s  memory {cost.memory / 1e6:6.0f} MB{also}")


def apply(options, settings, directory, path, what):
    before = directory.cpu()
    cost = directories.run([options.postroad, "apply", path, "--yes", "--settings", settings])
    told(what, cost, directory.cpu() - before)


def changed(path):
    """The same file with one recipient changed."""
    other = path.with_name("changed.yaml")
    with path.open() as lines, other.open("w") as to:
        for line in lines:
            if "name: user0000003," in line:
                line = line.replace("proxyAddresses: [", "proxyAddresses: [another@corp.example, ")
            to.write(line)
    return other


def measure(options, place, directory, path):
    say(f"{directory.name}, {options.recipients} recipients:")
    directory.start()
    try:
        settings = directories.settings(place, directory)
        apply(options, settings, directory, path, "first apply")
        say(f"  {directory.told()}")
        apply(options, settings, directory, path, "second apply, no changes")
        apply(options, settings, directory, changed(path), "apply, one change")
        remembered = place / "remembered"
        remembered.mkdir(exist_ok=True)
        before = directory.cpu()
        asked = subprocess.run([options.example, directory.argument, str(options.recipients), remembered])
        if asked.returncode:
            raise Failed("size_bench has failed")
        say(f"  {directory.told()}" + (f", processor {directory.cpu() - before:.1f} s of the questions" if before else ""))
    finally:
        directory.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipients", type=int)
    parser.add_argument("--postroad", default="target/release/postroad", type=pathlib.Path)
    parser.add_argument("--example", default="target/release/examples/size_bench", type=pathlib.Path)
    parser.add_argument("--place", default="target/size", type=pathlib.Path, help="files, on the disk to be measured")
    parser.add_argument("--only", choices=["embedded", "etcd"])
    options = parser.parse_args()
    options.postroad, options.example = options.postroad.resolve(), options.example.resolve()
    place = options.place.resolve()
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        path = place / "organization.yaml"
        directories.identity(options.postroad, place)
        directories.generate(options.postroad, path, sites=SITES, servers=SERVERS, connectors=CONNECTORS,
                             recipients=options.recipients)
        for kind in (directories.Embedded, directories.Etcd):
            if options.only in (None, kind.__name__.lower()):
                measure(options, place, kind(place), path)
    except Failed as error:
        directories.fail(error)
    finally:
        shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
