#!/bin/sh
# Builds the images postroad, postroad-etcd, postroad-router and postroad-prometheus from a program that is built already.
# Usage: image.sh PROGRAM [TAG]; BASE names the base image, `local` makes one from Debian's packages.
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
# Half of a program built for development is names for debuggers.
strip -o "$context/postroad" "$program"
cp "$here/etcd-health" "$here/router" "$here/link" "$here/delay.pl" "$context"
chmod 755 "$context"/*
# A file is the same to the cache of layers if its time is.
touch -d 2026-01-01 "$context"/*

for target in etcd router prometheus postroad; do
    name=postroad-$target
    [ "$target" = postroad ] && name=postroad
    if ! docker build --quiet --build-arg "BASE=$base" --target "$target" --tag "$name:$tag" \
        --file "$here/Dockerfile" "$context" >"$context/log" 2>&1; then
        cat "$context/log" >&2
        echo "error: the image $name cannot be built; the lines above say why" >&2
        exit 1
    fi
    echo "$name:$tag"
done
