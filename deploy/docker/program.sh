#!/bin/sh
# Builds the program so that it is the same wherever it is built: program.sh PROFILE TARGET-FOLDER
# No path of this machine is in it: the sources are /src, what cargo fetched is /cargo. The compiler and the C compiler are part of the
# recipe: another version makes another program.
set -eu

profile=$1
mkdir -p "$2"
target=$(cd "$2" && pwd)
root=$(cd "$(dirname "$0")/../.." && pwd)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
cd "$root"

SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat -c %Y CHANGELOG.md)}
CARGO_TARGET_DIR=$target
CARGO_INCREMENTAL=0
RUSTFLAGS="--remap-path-prefix=$cargo_home=/cargo --remap-path-prefix=$target=/target --remap-path-prefix=$root=/src"
CFLAGS="-ffile-prefix-map=$cargo_home=/cargo -ffile-prefix-map=$target=/target"
export SOURCE_DATE_EPOCH CARGO_TARGET_DIR CARGO_INCREMENTAL RUSTFLAGS CFLAGS

case "$profile" in
    release) cargo build --locked --quiet -p postroad --release ;;
    debug) CARGO_PROFILE_DEV_DEBUG=false cargo build --locked --quiet -p postroad ;;
    *) echo "$profile is neither release nor debug" >&2; exit 2 ;;
esac
echo "$target/$profile/postroad"
