#!/bin/sh
# Verifies the kit that this file lies in. Needs sha256sum, and openssl (3.0 or newer) or gpgv.
#
#   sh verify.sh --key KEY
#
# KEY is the kit key itself: the 64 hexadecimal digits of an Ed25519 public key (RFC 8032), which came
# another way than the kit did. No key that lies in the kit is used. Refuses a changed, a missing and an
# extra file, a link, and everything that is no plain file or folder, and names it.
set -eu
LC_ALL=C
export LC_ALL
umask 077

say() { printf '%s\n' "$1" | tr -c '[:print:]\n' '?'; }
refuse() {
    say "REFUSED: $1" >&2
    exit 1
}
usage() {
    echo "usage: sh verify.sh --key KEY [--with openssl|gpgv]   (KEY: 64 hexadecimal digits)" >&2
    exit 2
}

key='' with='openssl gpgv'
while [ $# -gt 0 ]; do
    [ $# -ge 2 ] || usage
    case $1 in
        --key) key=$(printf '%s' "$2" | tr -d ' :-' | tr 'A-F' 'a-f') ;;
        --with) with=$2 ;;
        *) usage ;;
    esac
    shift 2
done
case $key in *[!0-9a-f]* | '') usage ;; esac
[ ${#key} -eq 64 ] || usage
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# Names first: what follows may then rely on plain names, one a line.
odd=$(find . -name '*[!A-Za-z0-9._+-]*' | head -n 1)
[ -z "$odd" ] || refuse "$odd has a name that no kit has"
odd=$(find . ! -type f ! -type d | head -n 1)
[ -z "$odd" ] || refuse "$odd is a link or no plain file"
for each in SHA256SUMS SHA256SUMS.sig SHA256SUMS.pgp; do
    [ -f "$each" ] || refuse "$each is missing"
done

bytes() { # bytes HEX: writes the bytes
    rest=$1
    while [ -n "$rest" ]; do
        tail=${rest#??}
        # shellcheck disable=SC2059  # the format is the byte
        printf "\\$(printf '%03o' "0x${rest%"$tail"}")"
        rest=$tail
    done
}

by_openssl() { # the public key as SubjectPublicKeyInfo (RFC 8410)
    bytes "302a300506032b6570032100$key" >"$work/key.der"
    openssl pkeyutl -verify -pubin -keyform DER -inkey "$work/key.der" -rawin \
        -in SHA256SUMS -sigfile SHA256SUMS.sig >"$work/said" 2>&1
}

by_gpgv() { # the same key as an OpenPGP key (RFC 9580): key, name, and one packet: its self-signature
    [ -f kit-key.cert ] || refuse "kit-key.cert is missing"
    size=$(wc -c <kit-key.cert)
    { [ "$size" -gt 2 ] && [ "$size" -lt 194 ]; } || refuse "kit-key.cert was changed"
    begin=$(od -An -tx1 -N2 kit-key.cert | tr -d ' \n')
    [ "$begin" = "c2$(printf '%02x' $((size - 2)))" ] || refuse "kit-key.cert was changed"
    {
        bytes "c633045e0be10016092b06010401da470f01010740$key"
        bytes cd0c4c6f636b67617465206b6974
        cat kit-key.cert
    } >"$work/key.pgp"
    # gpgv lets two things of a signature packet pass unchecked: its length and the digest's first octets.
    size=$(wc -c <SHA256SUMS.pgp)
    digest=$({
        cat SHA256SUMS
        tail -c +3 SHA256SUMS.pgp | head -c 45
        bytes 04ff0000002d
    } | sha512sum | cut -c 1-4)
    [ "$(od -An -tx1 -N2 SHA256SUMS.pgp | tr -d ' \n')" = "c2$(printf '%02x' $((size - 2)))" ] || return 1
    [ "$(od -An -tx1 -j49 -N2 SHA256SUMS.pgp | tr -d ' \n')" = "$digest" ] || return 1
    gpgv --homedir "$work" --keyring "$work/key.pgp" SHA256SUMS.pgp SHA256SUMS >"$work/said" 2>&1
}

checked='' unchecked=''
case " $with " in *' openssl '*)
    if openssl pkeyutl -help 2>&1 | grep -q -e -rawin; then
        by_openssl || refuse "SHA256SUMS is not signed by this key (openssl, SHA256SUMS.sig)"
        checked="$checked openssl"
    else
        unchecked="$unchecked SHA256SUMS.sig (no openssl 3)"
    fi
    ;;
esac
case " $with " in *' gpgv '*)
    if command -v gpgv >/dev/null; then
        by_gpgv || refuse "SHA256SUMS is not signed by this key (gpgv, SHA256SUMS.pgp and kit-key.cert)"
        checked="$checked gpgv"
    else
        unchecked="$unchecked SHA256SUMS.pgp (no gpgv)"
    fi
    ;;
esac
[ -n "$checked" ] || refuse "no signature could be checked: install openssl 3 or gpgv"

# From here on SHA256SUMS is what the holder of the key signed.
if grep -q -v -E '^[0-9a-f]{64}  [A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*)*$' SHA256SUMS; then
    refuse "SHA256SUMS has a line that is no hash and name"
fi
find . -type f | sed 's|^\./||' |
    grep -v -x -e SHA256SUMS -e 'SHA256SUMS\.sig' -e 'SHA256SUMS\.pgp' | sort >"$work/found"
cut -c 67- SHA256SUMS | sort >"$work/named"
[ -z "$(uniq -d "$work/named")" ] || refuse "SHA256SUMS names $(uniq -d "$work/named" | head -n 1) twice"
missing=$(comm -13 "$work/found" "$work/named" | tr '\n' ' ')
[ -z "$missing" ] || refuse "missing: $missing"
extra=$(comm -23 "$work/found" "$work/named" | tr '\n' ' ')
[ -z "$extra" ] || refuse "not of this kit: $extra"
if ! sha256sum -c SHA256SUMS >"$work/sums" 2>/dev/null; then
    refuse "changed: $(sed -n 's/: FAILED.*$//p' "$work/sums" | tr '\n' ' ')"
fi

say "Verified: $(wc -l <SHA256SUMS | tr -d ' ') files, signature checked by:$checked."
[ -z "$unchecked" ] || say "Not checked:$unchecked."
say "SHA-256 of SHA256SUMS: $(sha256sum SHA256SUMS | cut -c 1-64)"
