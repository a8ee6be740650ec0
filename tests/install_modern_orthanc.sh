#!/bin/sh
# A current Orthanc with its Python plugin, from Debian's unstable packages, beside the one of this machine.
#
#   sh tests/install_modern_orthanc.sh [FOLDER]
#
# The packages are downloaded by apt into a private state and unpacked into FOLDER; nothing is installed,
# and no root is needed. FOLDER is $CBIR_MODERN_ORTHANC, or pacs-cbir-modern-orthanc in $XDG_CACHE_HOME or
# ~/.cache. One that is there already is kept. FOLDER/Orthanc runs it, with its own loader and libraries.
# Exit code 0: it is there, and the last line says where; 3: it cannot be had here, and the last line says why.
set -eu

SUITE=sid
MIRROR=${CBIR_DEBIAN_MIRROR:-http://deb.debian.org/debian}
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
folder=${1:-${CBIR_MODERN_ORTHANC:-${XDG_CACHE_HOME:-$HOME/.cache}/pacs-cbir-modern-orthanc}}

cannot() {
    echo "A current Orthanc cannot be had: $1" >&2
    exit 3
}

runs() {
    [ -x "$1/Orthanc" ] && [ -e "$1/libOrthancPython.so" ] && "$1/Orthanc" --version >/dev/null 2>&1
}

if runs "$folder"; then
    echo "$folder"
    exit 0
fi
case $folder in /*) ;; *) cannot "$folder is not an absolute path." ;; esac
[ ! -e "$folder" ] || [ -e "$folder/Orthanc" ] || cannot "$folder is there and holds something else."
command -v apt-get >/dev/null 2>&1 && command -v dpkg-deb >/dev/null 2>&1 || cannot \
    "only Debian and Ubuntu have the tools that fetch it (apt-get, dpkg-deb)."
[ -r "$KEYRING" ] || cannot "$KEYRING is missing: apt-get install debian-archive-keyring."

# Made beside and renamed at the end, so that a stop at any moment leaves a whole one or none.
mkdir -p "$(dirname "$folder")" || cannot "$(dirname "$folder") cannot be written."
work=$(mktemp -d "$folder.XXXXXX") || cannot "$(dirname "$folder") cannot be written."
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 755 "$work"
mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial" "$work/apt/parts" "$work/root"
: >"$work/apt/status"
echo "deb [signed-by=$KEYRING] $MIRROR $SUITE main" >"$work/apt/sources.list"

apt() {
    apt-get -q -y \
        -o Dir::Etc::SourceList="$work/apt/sources.list" -o Dir::Etc::SourceParts="$work/apt/parts" \
        -o Dir::State="$work/apt" -o Dir::State::Lists="$work/apt/lists" \
        -o Dir::State::Status="$work/apt/status" -o Dir::Cache="$work/apt" \
        -o APT::Sandbox::User= -o Acquire::Languages=none -o APT::Install-Recommends=false \
        "$@" >"$work/apt/log" 2>&1 || {
        tail -n 5 "$work/apt/log" >&2
        cannot "Debian's packages could not be fetched from $MIRROR."
    }
}

echo "Fetching a current Orthanc from Debian $SUITE ..." >&2
apt update
apt install --download-only orthanc orthanc-python
for package in "$work"/apt/archives/*.deb; do
    dpkg-deb --extract "$package" "$work/root" || cannot "$package could not be unpacked: is the disk full?"
done
rm -rf "$work/apt"

loader=$(cd "$work/root" && ls usr/lib/*/ld-linux*.so.* | head -n 1)
libraries=$(dirname "$loader")
# Everything is found from where the program stands, so that the folder may be moved.
cat >"$work/Orthanc" <<PROGRAM
#!/bin/sh
root=\$(dirname "\$(readlink -f "\$0")")/root
export PYTHONHOME="\$root/usr" DCMDICTPATH="\$root/usr/share/dcmtk/dicom.dic"
exec "\$root/$loader" --library-path "\$root/$libraries:\$root/usr/lib/orthanc" "\$root/usr/sbin/Orthanc" "\$@"
PROGRAM
chmod 755 "$work/Orthanc"
ln -s root/usr/share/orthanc/plugins/libOrthancPython.so "$work/libOrthancPython.so"
runs "$work" || cannot "what was fetched does not run on this machine: $("$work/Orthanc" --version 2>&1 | tail -n 1)"

rm -rf "$folder"
mv -T "$work" "$folder" || cannot "$folder cannot be written."
trap - EXIT
echo "$folder"
