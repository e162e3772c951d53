#!/bin/sh
# Installs the Debian packages named as arguments, those that are missing, without starting any service of theirs.
set -eu

missing=""
for package in "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

run=""
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || {
        echo "these packages are needed; install them as root: apt-get install$missing" >&2
        exit 1
    }
    run="sudo"
fi

echo "installing Debian packages:$missing"
guard=/usr/sbin/policy-rc.d
if [ ! -e "$guard" ]; then
    # Servers among the packages are for tests that start them by hand; none is to run as a service.
    printf '#!/bin/sh\nexit 101\n' | $run tee "$guard" >/dev/null
    $run chmod 755 "$guard"
    trap '$run rm -f "$guard"' EXIT
fi
$run apt-get update -qq
# shellcheck disable=SC2086  # a list of packages
$run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
