#!/bin/sh
# Searches the states of the cache with one operator of its source changed. The first change only makes a
# look-up longer and must show no wrong word, as `tests/missed_mutants.toml` says; the second one must.
cd "$(dirname "$0")"
. ../../examples/firmware.sh

root=$(cd ../.. && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
work=$target/changed-cache
rm -rf "$work"
mkdir -p "$work/proofs"
cp -r "$root/src" "$root/inflate" "$work"
cp -r "$root/proofs/cache" "$work/proofs"

# search OLD NEW: searches with the only line that contains OLD changed.
search() {
    source=$root/src/reader/table_cache.rs
    [ "$(grep -c -F "$1" "$source")" = 1 ] || fail "$source does not have the line '$1' once."
    OLD=$1 NEW=$2 awk '{
        at = index($0, ENVIRON["OLD"])
        if (at) $0 = substr($0, 1, at - 1) ENVIRON["NEW"] substr($0, at + length(ENVIRON["OLD"]))
        print
    }' "$source" >"$work/src/reader/table_cache.rs"
    (cd "$work/proofs/cache" && CARGO_TARGET_DIR="$target" cargo build --quiet --release --locked)
    "$target/release/qcow1-cache-states"
}

new="within >= self.piece_size.wrapping_sub(8)"
search "within > self.piece_size.wrapping_sub(8)" "$new" >"$work/log" || {
    cat "$work/log" >&2
    fail "With '$new', the cache is another."
}
echo "With '$new': no wrong word in $(wc -l <"$work/log") worlds."
if search "let within = low_u32(at.0) & self.piece_size" "let within = low_u32(at.0) ^ self.piece_size" >"$work/log"; then
    fail "A cache that takes words for parts of pieces was not found out."
fi
echo "With a wrong operator: a wrong word."
