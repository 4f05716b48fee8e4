#!/bin/sh
# Compares the functions of qcow1's public API, as rustdoc lists them, with the tables of src/lib.rs. A function in no table is
# not proved to be without panics.
#
# It leaves out formatting (core's own has panic paths, and an error's source is only for formatting), derived code, and the
# features that the proof is built without.
cd "$(dirname "$0")"
. ../firmware.sh
need jq "jq (Debian: jq)"
work=${CARGO_TARGET_DIR:-target}/footprint
mkdir -p "$work"
work=$(cd "$work" && pwd)

# rustdoc's JSON output is unstable. Run from the root, because this folder's target is not the host.
(cd ../.. && RUSTC_BOOTSTRAP=1 cargo rustdoc --quiet --locked --lib --features check --target-dir "$work/rustdoc" \
    -- -Zunstable-options --output-format json --cap-lints allow)

# A function of an implemented trait is written `<Type as Trait>::function`, without parameters.
jq -r '
    def name: split("::") | last;
    def type:
        if .resolved_path then .resolved_path.path | name
        elif .borrowed_ref then "&" + (if .borrowed_ref.is_mutable then "mut " else "" end) + (.borrowed_ref.type | type)
        elif .slice then "[" + (.slice | type) + "]"
        elif .primitive then .primitive
        else "_" end;
    .index as $index
    | (.paths[] | select(.crate_id == 0 and .kind == "function") | .path | last),
      ($index[]
    | select(.crate_id == 0)
    | . as $item
    | if .inner.impl then
        .inner.impl
        | select(.blanket_impl == null and (.is_synthetic | not))
        | select($item.attrs | tostring | contains("automatically_derived") | not)
        | select([.trait.path // "" | name] | inside(["Debug", "Display"]) | not)
        | (.for | type) as $type
        | (if .trait then "<\($type) as \(.trait.path | name)>" else $type end) as $owner
        | .items[]
        | $index[tostring]
        | select(.inner.function and .name != "source")
        | "\($owner)::\(.name)"
      elif .inner.trait then
        .inner.trait.items[]
        | $index[tostring]
        | select(.inner.function.has_body?)
        | "\($item.name)::\(.name)"
      else empty end)
' "$work/rustdoc/doc/qcow1.json" | sort -u >"$work/public"

# The right side of each line of a table, with aliases replaced by their types.
sed -n -E 's/^    [a-z0-9_]+: (.*::[a-z0-9_]+),$/\1/p' src/lib.rs |
    sed -E -e 's/qcow1:://; s/embedded_io:://' -e 's/&mut (Disk|Device)/\&mut _/' -e 's/\bDisks\b/Chain/; s/\bDisk\b/Image/' \
        -e ':again' -e 's/([A-Za-z0-9])<[^<>]*>/\1/; t again' | sort -u >"$work/proved"

[ -s "$work/public" ] && [ -s "$work/proved" ] || fail "rustdoc or src/lib.rs gave no functions."
missing=$(comm -23 "$work/public" "$work/proved")
[ -z "$missing" ] || fail "These public functions are in no table of src/lib.rs, so they are not proved:
$missing"
gone=$(comm -13 "$work/public" "$work/proved")
[ -z "$gone" ] || fail "These lines of src/lib.rs are no public functions, or do not name their type:
$gone"
