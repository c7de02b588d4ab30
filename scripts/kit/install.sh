#!/bin/sh
# Verifies the kit that this file lies in and installs Lockgate from it, without any network.
#
#   sh install.sh --key KEY [--prefix /opt/lockgate] [--python PROGRAM]
#
# Needs Python of the version in kit.json, its `venv` module, and what verify.sh needs. Exit status:
# 0 installed; 1 refused, nothing installed; 2 wrong usage; 3 installed, but `lockgate doctor` misses something.
set -eu
umask 022

stop() {
    printf 'STOPPED: %s\n' "$1" >&2
    exit 1
}
usage() {
    echo "usage: sh install.sh --key KEY [--prefix /opt/lockgate] [--python PROGRAM]" >&2
    exit 2
}

key='' prefix=/opt/lockgate python=''
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --key) key=$2 ;;
        --prefix) prefix=$2 ;;
        --python) python=$2 ;;
        *) usage ;;
    esac
    shift 2
done
[ -n "$key" ] || usage
case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
kit=$(cd "$(dirname "$0")" && pwd)
sh "$kit/verify.sh" --key "$key" || stop "the kit was refused; nothing was installed"

version=$(sed -n 's/.*"python":"\([0-9.]*\)".*/\1/p' "$kit/kit.json")
if [ -z "$python" ]; then
    python=$(command -v "python$version" || command -v python3) ||
        stop "there is no Python $version; install it from the system's own media (Debian: python$version)"
fi
# -I: neither this folder, nor the environment, nor the user's own packages have a say.
"$python" -I - "$kit/kit.json" <<'END' || stop "this machine is not what the kit was made for"
import json
import platform
import sys

kit = json.load(open(sys.argv[1], encoding="utf-8"))
here = {"python": "%d.%d" % sys.version_info[:2], "machine": platform.machine()}
wrong = [f"{name} is {has}, the kit needs {kit[name]}" for name, has in here.items() if has != kit[name]]
library, release = platform.libc_ver()
numbers = [int(part) for part in release.split(".")[:2]] if library == "glibc" else [0]
if numbers < [int(part) for part in kit["glibc"].split(".")]:
    wrong.append(f"the C library is {library or 'unknown'} {release}, the kit needs glibc {kit['glibc']} or newer")
print("\n".join(wrong), end="\n" if wrong else "", file=sys.stderr)
sys.exit(bool(wrong))
END

if [ -e "$prefix/.installing" ]; then
    echo "An installation into $prefix was cut off; it begins again."
    rm -rf "$prefix"
fi
[ ! -e "$prefix" ] || [ -z "$(ls -A "$prefix")" ] || stop "$prefix exists and is not empty"
mkdir -p "$prefix"
: >"$prefix/.installing"
echo "Installing into $prefix …"
"$python" -I -m venv --without-pip "$prefix"
set -- "$kit"/wheels/pip-*.whl
inside() { env -i PATH="$prefix/bin:/usr/bin:/bin" HOME="$prefix" LANG=C.UTF-8 "$@"; }
inside "$prefix/bin/python" -I "$1/pip" --isolated --quiet install --no-index --no-cache-dir --no-input \
    --disable-pip-version-check --only-binary :all: --find-links "$kit/wheels" --require-hashes \
    --root-user-action ignore -r "$kit/requirements.txt"
inside "$prefix/bin/python" -I -m pip --isolated --disable-pip-version-check check
cp "$kit/kit.json" "$kit/SHA256SUMS" "$kit/SHA256SUMS.sig" "$prefix/"
sync
rm "$prefix/.installing"
inside "$prefix/bin/lockgate" --version
if ! "$prefix/bin/lockgate" doctor; then
    echo "Installed in $prefix. What the table calls missing comes from the system's own media."
    exit 3
fi
echo "Installed in $prefix."
