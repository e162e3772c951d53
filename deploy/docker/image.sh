#!/bin/sh
# Builds the images postroad, postroad-etcd, postroad-router and postroad-prometheus from a program that is built already.
# Usage: image.sh PROGRAM [TAG]; BASE names the base image, `local` makes one from Debian's packages. With `-` for the program, only
# those that it is not in: they stay the same until their files change.
set -eu

program=$1
tag=${2:-dev}
here=$(cd "$(dirname "$0")" && pwd)
base=${BASE:-local}
if [ "$base" = local ]; then
    base=postroad-base:bookworm
    "$here/base.sh" "$base"
fi

context=$(mktemp -d)
trap 'rm -rf "$context"' EXIT
cp "$here/etcd-health" "$here/router" "$here/link" "$here/delay.pl" "$here/policy.nft" "$context"

build() {
    name=postroad-$1
    [ "$1" != postroad ] || name=postroad
    chmod 755 "$context"/*
    # A file is the same to the cache of layers if its time is.
    touch -d 2026-01-01 "$context"/*
    log=$(docker build --quiet --build-arg "BASE=$base" --target "$1" --tag "$name:$tag" --file "$here/Dockerfile" "$context" 2>&1) || {
        echo "$log" >&2
        echo "error: the image $name cannot be built; the lines above say why" >&2
        exit 1
    }
    echo "$name:$tag"
}

for target in etcd router prometheus; do build $target; done
# What the program stands on has a name where the program is yet to come, so that it outlives a program that is taken away.
if [ "$program" = - ]; then
    build ground
    exit 0
fi
# Last, because every build is sent all of this folder. Half of a program built for development is names for debuggers.
strip -o "$context/postroad" "$program"
build postroad
