#!/bin/sh
# Orthanc, its Python plugin and dcmtk from the distribution, where they are missing.
#
#   sh demo/install_orthanc.sh [--with-dicom3tools]
#
# Debian or Ubuntu, as root or with a sudo that asks nothing. The distribution's own Orthanc service
# never starts. Exit code 0: all is there; 3: it cannot be had here, and the last line says why.
set -eu

cannot() {
    echo "$1" >&2
    exit 3
}

has_orthanc() {
    [ -n "${ORTHANC_BINARY:-}" ] && [ -x "$ORTHANC_BINARY" ] && return 0
    command -v Orthanc >/dev/null 2>&1 && return 0
    [ -x /usr/sbin/Orthanc ] || [ -x /usr/local/sbin/Orthanc ] || [ -x /usr/local/bin/Orthanc ]
}

has_python_plugin() {
    for file in "${ORTHANC_PYTHON_PLUGIN:-}" \
        /usr/share/orthanc/plugins/libOrthancPython.so \
        /usr/share/orthanc/plugins-available/libOrthancPython.so \
        /usr/local/share/orthanc/plugins/libOrthancPython.so \
        /usr/lib/orthanc/libOrthancPython.so; do
        [ -n "$file" ] && [ -e "$file" ] && return 0
    done
    return 1
}

wanted_dicom3tools=no
for argument in "$@"; do
    case $argument in
    --with-dicom3tools) wanted_dicom3tools=yes ;;
    *) echo "usage: sh demo/install_orthanc.sh [--with-dicom3tools]" >&2; exit 2 ;;
    esac
done

missing=""
has_orthanc || missing="$missing orthanc"
has_python_plugin || missing="$missing orthanc-python"
[ -x /usr/bin/storescu ] && [ -x /usr/bin/dsrdump ] || missing="$missing dcmtk"
[ "$wanted_dicom3tools" = no ] || command -v dciodvfy >/dev/null 2>&1 || missing="$missing dicom3tools"
[ -n "$missing" ] || exit 0

command -v apt-get >/dev/null 2>&1 || cannot \
    "Missing:$missing. Only Debian and Ubuntu are installed from here: put Orthanc and its Python plugin on this machine, or set ORTHANC_BINARY and ORTHANC_PYTHON_PLUGIN."

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    as_root="sudo -n"
    sudo -n true >/dev/null 2>&1 || cannot "Missing:$missing. Run once as root: apt-get install$missing"
fi

# A policy of "start nothing" while the packages are set up. Another's policy is left as it is:
# then the service, if it started, is stopped below.
policy=/usr/sbin/policy-rc.d
ours=no
log=$(mktemp)
clean_up() {
    [ "$ours" = no ] || $as_root rm -f "$policy"
    rm -f "$log"
}
trap clean_up EXIT
trap 'exit 130' INT TERM
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    ours=yes
    $as_root chmod 755 "$policy"
fi

echo "Installing$missing from the distribution ..."
$as_root apt-get update -q >"$log" 2>&1 || echo "apt-get update did not succeed; trying with the lists that are here." >&2
# shellcheck disable=SC2086
if ! $as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -q --no-install-recommends $missing >"$log" 2>&1; then
    tail -n 15 "$log" >&2
    cannot "apt-get could not install:$missing"
fi

case $missing in
*" orthanc"*)
    if [ -d /run/systemd/system ]; then
        $as_root systemctl disable --now orthanc.service >/dev/null 2>&1 || true
    elif [ -x /etc/init.d/orthanc ]; then
        $as_root /etc/init.d/orthanc stop >/dev/null 2>&1 || true
        command -v update-rc.d >/dev/null 2>&1 && $as_root update-rc.d orthanc disable >/dev/null 2>&1 || true
    fi
    ;;
esac

has_orthanc && has_python_plugin || cannot "Installed:$missing, yet Orthanc or its Python plugin is not where it is looked for."
echo "Orthanc is installed; the distribution's own service is not running."
