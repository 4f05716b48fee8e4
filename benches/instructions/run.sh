#!/bin/sh
# Counts the instructions of calls in the cases of main.rs, with and without the feature `deflate`,
# and compares them with budgets.txt. Needs valgrind, on x86-64.
#
# Callgrind counts what runs below the functions whose names begin with `counted_`, without the
# device's driver. The figures are means of a call, about 15 instructions of the harness included.
# They repeat exactly with the same compiler and C library, whose `memcpy` and `memset` count if
# the crate calls them.
cd "$(dirname "$0")"
. ../../examples/firmware.sh
need valgrind "valgrind (Debian: valgrind)"
[ "$(uname -m)" = x86_64 ] || fail "The budgets are those of x86-64; this is $(uname -m)."

target_dir=${CARGO_TARGET_DIR:-../../target}
work=$target_dir/instructions
mkdir -p "$work"

# count FEATURES CASE: a line 'CASE-FEATURES INSTRUCTIONS DEVICE-READS', both for one call.
count() {
    calls=$(valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect='*counted_*' \
        "$work/$1" "$2" 2>"$work/log") || {
        cat "$work/log" >&2
        fail "The case '$2' has failed; what valgrind said is above."
    }
    collected=$(sed -n 's/.*Collected : //p' "$work/log")
    echo "$2-$1 $calls ${collected:-0}" | awk '{ printf "%s %.0f %.2f\n", $1, $4 / $2, $3 / $2 }'
}

: >"$work/figures"
for features in plain deflate; do
    cargo build --quiet --release --locked --no-default-features --features "${features#plain}"
    cp "$target_dir/release/instructions" "$work/$features"
    for case in $("$work/$features"); do
        count "$features" "$case" >>"$work/figures"
    done
done

echo "| instructions of a call on x86-64 | found | budget | device reads |"
echo "|---|--:|--:|--:|"
failed=0
while read -r name found reads; do
    budget=$(awk -v name="$name" '$1 == name { print $2 }' budgets.txt)
    echo "| $name | $found | ${budget:-none} | $reads |"
    # A case that counts nothing has not been measured.
    if [ -z "$budget" ] || [ "$found" -gt "$budget" ] || [ "$found" -eq 0 ]; then
        echo "$name takes $found instructions; its budget in budgets.txt is ${budget:-missing}." >&2
        failed=1
    fi
done <"$work/figures"
for name in $(awk '/^[^#]/ { print $1 }' budgets.txt); do
    grep -q "^$name " "$work/figures" || {
        echo "budgets.txt has a budget for $name, which is no case." >&2
        failed=1
    }
done
exit $failed
