#!/bin/sh
# Fetches axe-core, the checks of accessibility that a browser test runs, into a folder: axe.min.js out of a package of PyPI. It is
# MPL-2.0, is run by tests, and is no part of the product. Where PyPI cannot be reached the test says that it went without.
set -eu

folder=$1
version=axe-playwright-python==0.1.8
[ -s "$folder/axe.min.js" ] && exit 0
mkdir -p "$folder"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
if python3 -m pip download --quiet --no-deps --disable-pip-version-check --dest "$scratch" "$version" 2>/dev/null; then
    python3 - "$scratch" "$folder/axe.min.js" <<'END'
import glob, sys, zipfile
wheel = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
name = next(name for name in wheel.namelist() if name.endswith("/axe.min.js"))
open(sys.argv[2], "wb").write(wheel.read(name))
END
else
    echo "axe-core could not be fetched from PyPI: the browser test will go without it" >&2
fi
