#!/bin/sh
# The proof that no panic path is left in the C library, and its sizes.
#
# For each target, optimization level and feature set: build the library with a panic handler that
# calls an undefined symbol, and link it with the functions of qcow1.h as the only roots. A
# panic path that is left is an undefined symbol. Then do the same with one unchecked index, which
# must fail, because otherwise the proof would prove nothing. A byte of a static that can be written
# is a failure too: on bare machines the library has none.
cd "$(dirname "$0")"
. ../examples/firmware.sh

# The firmware examples' folder, for their builds of `core`.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd .. && pwd)/target}/firmware
export CARGO_TARGET_DIR
target_dir=$CARGO_TARGET_DIR
work=$target_dir/capi-proof
mkdir -p "$work"
for tool in llvm-size llvm-cxxfilt; do
    need "$tool" "LLVM's tools (Debian: llvm)"
done
# The test `install` compares them with qcow1.h.
functions=$(cat symbols.txt)

# build TARGET OPT-LEVEL FEATURES: only the packages differ in their optimization level, so that
# `core` is built once for each target.
build() {
    overrides=
    [ "$2" = s ] || for package in qcow1-capi $(cargo tree --locked --edges normal --prefix none --format '{p}' |
        cut -d ' ' -f 1 | sort -u | grep -v '^qcow1-capi'); do
        overrides="$overrides --config profile.release.package.$package.opt-level=$2"
    done
    # shellcheck disable=SC2086
    bare_cargo "$1" build --quiet --release --locked --no-default-features --features "$3" $overrides
}

# link TARGET OUTPUT SYMBOL...
link() {
    output=$2
    target=$1
    shift 2
    link_roots "$target" "$target_dir/$target/release/libqcow1.a" "$output" "$@" 2>"$work/log"
}

# statics ELF: prints the bytes of the sections that are writable while the program runs.
statics() {
    llvm-size -A "$1" | awk '$1 ~ /^\.(s?data|s?bss|tdata|tbss)($|\.)/ && $1 !~ /^\.data\.rel\.ro/ { sum += $2 } END { print sum + 0 }'
}

echo "| target | optimized for | open, read | every call | + deflate: open, read | every call | + aes: open, read | every call | + both: open, read | every call |"
echo "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
for target in ${TARGETS:-thumbv7em-none-eabi riscv64gc-unknown-none-elf aarch64-unknown-none x86_64-unknown-none}; do
    for level in s 3; do
        row="| $target | $([ $level = s ] && echo size || echo speed) |"
        for features in "" deflate aes "deflate aes"; do
            build "$target" "$level" "proof $features"
            for roots in "qcow1_open qcow1_read" "$functions"; do
                # shellcheck disable=SC2086
                if ! link "$target" "$work/linked" $roots; then
                    llvm-cxxfilt <"$work/log" >&2
                    echo "A panic path is left: $target, opt-level $level, features '$features'." >&2
                    [ -n "${KEEP_GOING:-}" ] || exit 1
                    row="$row panics |"
                    continue
                fi
                [ "$(statics "$work/linked")" = 0 ] || {
                    llvm-nm -C "$work/linked" | grep -i ' [bd] ' >&2 || true
                    fail "A static is left: $target, opt-level $level, features '$features'."
                }
                row="$row $(code_size "$work/linked") |"
            done
        done
        echo "$row"
    done
    build "$target" 3 "proof unchecked-index"
    if link "$target" "$work/linked" unchecked_index; then
        fail "The negative control linked for $target: the proof proves nothing."
    fi
    grep -q 'undefined symbol: a_panic_path_is_left' "$work/log" || {
        cat "$work/log" >&2
        fail "The negative control failed for another reason than its panic path."
    }
done
echo
echo "Bytes of code and constants. No panic path and no static is left in any; one unchecked index fails to link on each target."
