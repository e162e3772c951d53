#!/bin/sh
# Measures a directory of so many recipients in an organization of 300 servers: embedded, then in an etcd of its own with a quota of
# 8 GiB. Files are in target/size and are removed at the end.
set -eu
recipients=$1
place=target/size
rm -rf "$place"
mkdir -p "$place"
file=$place/organization.yaml
etcd=
end() {
    [ -z "$etcd" ] || kill "$etcd" 2>/dev/null || true
    rm -rf "$place"
}
trap end EXIT INT TERM
target/release/postroad generate --sites 60 --servers 300 --connectors 2000 --recipients "$recipients" --output "$file"
echo "embedded:"
target/release/examples/size_bench "$file" "$place"
du -sh "$place/directory.db"
rm -f "$place"/directory.db*
etcd --data-dir "$place/etcd" --quota-backend-bytes 8589934592 --log-level error \
    --listen-client-urls http://127.0.0.1:23790 --advertise-client-urls http://127.0.0.1:23790 \
    --listen-peer-urls http://127.0.0.1:23800 &
etcd=$!
until curl --silent --fail http://127.0.0.1:23790/health > /dev/null; do
    kill -0 "$etcd"
    sleep 0.1
done
echo "etcd:"
target/release/examples/size_bench "$file" "$place" http://127.0.0.1:23790
du -sh "$place/etcd/member/snap/db"
grep VmRSS "/proc/$etcd/status"
