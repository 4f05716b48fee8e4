#!/bin/sh
# Builds the code of examples/footprint for thumbv7em, runs it on the images of the tests in an
# emulator, and compares the branches that go only one way with the reasons in ../README.md.
#
# Usage: branches/run.sh [--write | --one-image]
#
# --write writes the counts into ../README.md. --one-image runs only the first image, so that it
# must fail. ../run.sh installs what this needs. It does not run this, because a change of the code
# that is no fault changes the branches too.
cd "$(dirname "$0")"
. ../../examples/firmware.sh
. ../../examples/footprint/compiler.sh
need llvm-symbolizer "LLVM's tools (Debian: llvm)"

work=${CARGO_TARGET_DIR:-../../target}
mkdir -p "$work/proofs"
work=$(cd "$work" && pwd)
export CARGO_TARGET_DIR="$work"
venv=$work/proofs/venv-$(sha256sum ../requirements.txt | cut -c 1-16)
[ -e "$venv/complete" ] || fail "unicorn is missing, so nothing was shown: run proofs/run.sh first, which installs it."
machine=thumbv7em-none-eabi
built=$work/$machine/release

# The lines of the sources. They change no code.
lines=
for package in footprint qcow1 qcow1-inflate; do
    lines="$lines --config profile.release.package.$package.debug=1"
done
functions=$(sed -n -E 's/^(unsafe )?extern "C" fn ([a-z0-9_]+).*/-u \2/p' src/lib.rs)

programs=
for build in plain deflate-small; do
    features=${build#plain}
    program=$work/proofs/branches-$build
    # In the folder of examples/footprint, for the options in its .cargo.
    cd ../../examples/footprint
    # shellcheck disable=SC2086
    bare_cargo $machine rustc --quiet --release --locked --lib --crate-type staticlib --no-default-features \
        --features "$features" $lines
    bare_cargo $machine build --quiet --release --locked --manifest-path ../../proofs/branches/Cargo.toml \
        --features "$features"
    cd ../../proofs/branches
    link_roots $machine "$built/libfootprint.a" "$program" READER API REST
    link_roots $machine "$built/libfootprint.a" "$program-reader" READER
    # At other addresses, with the linker of link_roots.
    # shellcheck disable=SC2086,SC2154
    $linker -m $emulation --gc-sections -z nognustack --image-base 0x800000 $functions -e branches_begin \
        -o "$program-calls" "$built/libqcow1_branches.a"
    programs="$programs $build=$program"
done

"$venv/bin/python" bounds.py
# shellcheck disable=SC2086
"$venv/bin/python" branches.py --compiler "$(compiler $machine)" "$@" $programs
