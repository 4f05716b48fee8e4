#!/bin/sh
# Proves that no panic path is left in qcow1, and compares its sizes with budgets.txt. With another compiler than that of
# budgets.txt, it prints the sizes beside the budgets and compares nothing.
#
# For each target, optimization level and feature set, it builds the static library and links it with each table of API
# pointers as the only root. A remaining panic path is an undefined symbol. Then it does the same with one unchecked index,
# which must fail, because otherwise the proof would prove nothing.
cd "$(dirname "$0")"
. ../firmware.sh
. ./compiler.sh

target_dir=${CARGO_TARGET_DIR:-target}
work=$target_dir/footprint
mkdir -p "$work"

for tool in llvm-readobj llvm-objdump llvm-nm llvm-size llvm-cxxfilt; do
    need "$tool" "LLVM's tools (Debian: llvm)"
done

# build TARGET OPT-LEVEL FEATURES: builds the library. Only this crate, qcow1 and the crates that it inlines have the
# optimization level, so `core` is built once for each target.
build() {
    overrides=
    [ "$2" = s ] || for package in footprint qcow1 qcow1-inflate embedded-io heapless zerocopy; do
        overrides="$overrides --config profile.release.package.$package.opt-level=$2"
    done
    # An unstable option reports the frames. It does not change the code.
    # shellcheck disable=SC2086
    RUSTC_BOOTSTRAP=1 bare_cargo "$1" rustc --quiet --release --locked --lib --crate-type staticlib \
        --no-default-features --features "$3" $overrides -- -Zemit-stack-sizes
}

# link TARGET ROOT OUTPUT
link() {
    link_roots "$1" "$target_dir/$1/release/libfootprint.a" "$3" "$2"
}

symbol_size() {
    llvm-nm -S "$1" | awk -v name="$2" '$4 == name { print $2 }' | sed 's/^0*/0x/' | xargs printf '%d'
}

# Rewrites names between backticks as in Rust, without crates and type arguments.
readable() {
    llvm-cxxfilt | sed -E -e 's/footprint:://g' -e 's/::<Device[^`]*>`/`/g' -e 's/(qcow1|qcow1_inflate|compiler_builtins)::([a-z0-9_]+::)*//g' \
        -e 's/embedded_io:://g' -e 's/core::([a-z]+::)*//g' -e 's/<Device(, [A-Za-z0-9]+)?>//g' \
        -e 's/(::<[^`]*>|::)`/`/g' -e 's/`<([A-Za-z]+)>::/`\1::/g' \
        -e 's/`<([^`]*) as ([A-Za-z]+)>::([a-z_]+)`/`\1::\3`/g'
}

# stacks ROOT FEATURES: prints stack.awk's lines for the calls of a root, the deepest first.
stacks() {
    elf=$work/thumbv7em-none-eabi-s-$2-$1
    section=.entry.$(echo "$1" | tr A-Z a-z)
    {
        llvm-readobj --stack-sizes "$elf"
        llvm-objdump -s -j "$section" "$elf"
        llvm-objdump -d --no-show-raw-insn "$elf"
    } | awk -f stack.awk | sort -rn >"$work/stack-$1-$2"
    [ -s "$work/stack-$1-$2" ] || fail "stack.awk has found no calls in $elf."
}

# figure NAME VALUE: stores a figure for the comparison with its budget.
figure() {
    echo "$1 $2" >>"$work/figures"
}

# objects TARGET FEATURES: the figures for the objects of a target with 32 or 64 bits, as it was built last.
objects() {
    case $1 in
    thumbv7em-*) bits=32 ;;
    x86_64-*) bits=64 ;;
    *) return 0 ;;
    esac
    for object in IMAGE CHAIN; do
        link "$1" "${object}_SIZE" "$work/size"
        name=$(echo "$object" | tr A-Z a-z)
        figure "$name-$bits-$2" "$(symbol_size "$work/size" "${object}_SIZE")"
    done
}

./stack_test.sh
./complete.sh
failed=0
: >"$work/figures"
echo "| target | optimized for | open, read | whole API | + deflate-small: open, read | whole API | + deflate: open, read | whole API |"
echo "|---|---|--:|--:|--:|--:|--:|--:|"
for target in ${TARGETS:-thumbv7em-none-eabi riscv64gc-unknown-none-elf aarch64-unknown-none x86_64-unknown-none}; do
    for level in s 3; do
        row="| $target | $([ $level = s ] && echo size || echo speed) |"
        for features in "" deflate-small deflate; do
            build "$target" "$level" "$features"
            for root in READER API REST; do
                elf=$work/$target-$level-${features:-plain}-$root
                if ! link "$target" "$root" "$elf" 2>"$work/log"; then
                    llvm-cxxfilt <"$work/log" >&2
                    echo "A panic path is left: $target, opt-level $level, features '$features', root $root." >&2
                    exit 1
                fi
                [ $root != REST ] || continue
                size=$(code_size "$elf")
                row="$row $size |"
                [ "$target-$level" != thumbv7em-none-eabi-s ] || figure "code-$root-${features:-plain}" "$size"
            done
            # An object is the same with either decoder.
            [ "$level-$features" = s-deflate-small ] || [ $level != s ] || objects "$target" "${features:-plain}"
        done
        echo "$row"
    done
    # With AES, the sizes of objects alone: capi/prove.sh proves and measures its code.
    case $target in thumbv7em-* | x86_64-*)
        build "$target" s "deflate aes"
        objects "$target" aes
        ;;
    esac
    build "$target" 3 unchecked-index
    if link "$target" CONTROL "$work/control" 2>"$work/log"; then
        echo "The negative control linked for $target: the proof proves nothing." >&2
        exit 1
    fi
    grep -q 'undefined symbol: a_panic_path_is_left' "$work/log" || {
        cat "$work/log" >&2
        echo "The negative control failed for another reason than its panic path." >&2
        exit 1
    }
done
echo
echo "Bytes of code and constants. No panic path is left in any, nor in the rest of the public API, which is not counted;" \
    "one unchecked index fails to link on each target."

for features in plain deflate-small deflate; do
    stacks API "$features"
    stacks READER "$features"
    deepest=$(head -n 1 "$work/stack-API-$features" | cut -f 1)
    figure "stack-$features" "$deepest"
    figure "stack-read-$features" "$(head -n 1 "$work/stack-READER-$features" | cut -f 1)"
    echo
    echo "Deepest stack on thumbv7em, optimized for size, $features ($deepest bytes):"
    echo
    echo "| call | bytes | frames |"
    echo "|---|--:|---|"
    awk -F '\t' '$1 >= 64 { printf "| `%s` | %d | %s |\n", $3, $1, $2 }' "$work/stack-API-$features" | readable
    echo
    echo "| deepest below opening and reading an image | bytes | frames |"
    echo "|---|--:|---|"
    awk -F '\t' '{ printf "| %s | %d | %s |\n", $4, $1, $2 }' "$work/stack-READER-$features" | readable
done

# A contributor may have any compiler. Only the sizes depend on it, not the proof.
held=$(held_for budgets.txt)
found=$(compiler thumbv7em-none-eabi)
echo
if [ "$found" != "$held" ]; then
    echo "These are the sizes of $found. The budgets hold for $held, so nothing is compared:"
    echo
fi
echo "| optimized for size, on thumbv7em, or on x86-64 if the name has 64: $found | bytes | budget |"
echo "|---|--:|--:|"
while read -r name value; do
    budget=$(awk -v name="$name" '$1 == name { print $2 }' budgets.txt)
    echo "| $name | $value | ${budget:-none} |"
    if [ "$found" = "$held" ] && { [ -z "$budget" ] || [ "$value" -gt "$budget" ]; }; then
        echo "$name is $value bytes; its budget in budgets.txt is ${budget:-missing}." >&2
        failed=1
    fi
done <"$work/figures"
exit $failed
