#!/bin/sh
# The real programs that the tests talk to: Orthanc, DICOM clients, validators, PostgreSQL, Chromium.
# Debian or Ubuntu, as root or with sudo; nothing is done where everything is there.
set -eu
cd "$(dirname "$0")/.."

sh demo/install_orthanc.sh || {
    echo "The tests against a real Orthanc will fail: put Orthanc with its Python plugin on this machine." >&2
}

sh tests/install_modern_orthanc.sh >/dev/null || {
    echo "The tests against a current Orthanc will be skipped." >&2
}

missing=""
command -v dciodvfy >/dev/null 2>&1 || missing="$missing dicom3tools"
command -v chromium >/dev/null 2>&1 || missing="$missing chromium"
command -v docker-compose >/dev/null 2>&1 || missing="$missing docker-compose"
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$missing postgresql"
[ -z "$missing" ] && exit 0

command -v apt-get >/dev/null 2>&1 || {
    echo "Missing:$missing. Install them with this system's package manager." >&2
    exit 0
}
root=""
[ "$(id -u)" -eq 0 ] || root="sudo -n"
echo "Installing$missing ..."

# No package may start its own server on this machine: the tests start private ones.
policy=/usr/sbin/policy-rc.d
guarded=no
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null && $root chmod 755 "$policy" && guarded=yes
fi
status=0
$root apt-get update -q >/dev/null || status=$?
# shellcheck disable=SC2086
$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >/dev/null || status=$?
[ "$guarded" = yes ] && $root rm -f "$policy"
exit $status
