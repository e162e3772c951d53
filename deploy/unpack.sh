#!/bin/sh
# Unpacks Debian packages that cannot be installed beside others into a folder, unless they are there: unpack.sh FOLDER PACKAGE…
set -eu

folder=$1
shift
[ ! -e "$folder" ] || exit 0

echo "unpacking Debian packages into $folder: $*"
part="$folder.part"
rm -rf "$part"
mkdir -p "$part/packages" "$part/tree"
(cd "$part/packages" && apt-get download -qq "$@") || {
    echo "apt-get could not download $*; tests that need them say so" >&2
    rm -rf "$part"
    exit 0
}
for package in "$part"/packages/*.deb; do
    dpkg -x "$package" "$part/tree"
done
mv "$part" "$folder"
