#!/bin/sh
# Visits the states of the table cache, builds the harness for x86-64 and thumbv7em, and runs the
# proofs on both. `--read` runs the proofs of a read instead, which take longer. `--all` runs all, and
# adds the cases that take longer.
cd "$(dirname "$0")"
. ../examples/firmware.sh
need python3 "Python 3"

target=${CARGO_TARGET_DIR:-../target}
mkdir -p "$target/proofs"
target=$(cd "$target" && pwd)
export CARGO_TARGET_DIR="$target"

# One virtual environment for each list of versions.
venv=$target/proofs/venv-$(sha256sum requirements.txt | cut -c 1-16)
if [ ! -e "$venv/complete" ]; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
    touch "$venv/complete"
fi

# The exported functions.
functions=$(sed -n -E 's/^extern "C" fn ([a-z0-9_]+).*/\1/p' harness/src/*.rs)

(cd harness && cargo build --quiet --release --locked)
(cd harness && bare_cargo thumbv7em-none-eabi build --quiet --release --locked)
# shellcheck disable=SC2086
link_roots x86_64-unknown-linux-gnu "$target/release/libqcow1_proofs.a" "$target/proofs/x86-64" $functions
# shellcheck disable=SC2086
link_roots thumbv7em-none-eabi "$target/thumbv7em-none-eabi/release/libqcow1_proofs.a" "$target/proofs/thumbv7em" $functions

prove() {
    "$venv/bin/python" prove.py "$@" x86-64="$target/proofs/x86-64" thumbv7em="$target/proofs/thumbv7em"
}

case " $* " in
*" --read "*)
    prove "$@"
    exit
    ;;
esac
"$venv/bin/python" theorems.py
(cd cache && cargo build --quiet --release --locked)
"$target/release/qcow1-cache-states" "$@" &
states=$!
failed=0
prove "$@" || failed=1
wait "$states" || failed=1
exit $failed
