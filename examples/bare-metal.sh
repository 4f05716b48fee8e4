#!/bin/sh
# cargo for a bare-metal target: bare-metal.sh TARGET CARGO-ARGUMENTS...
#
# Where rustup has the target (`rustup target add TARGET`), this is plain cargo. Elsewhere Debian's compiler serves,
# which builds `core` from its own source: packages rustc-web, cargo-web, rust-web-src and lld.
set -eu
target=$1
subcommand=$2
shift 2

if [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
    exec cargo "$subcommand" --target "$target" "$@"
fi
if [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src" ]; then
    # RUSTC_BOOTSTRAP: a stable compiler builds its own `core` only when told that it may.
    RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 \
        exec /usr/bin/cargo "$subcommand" -Zbuild-std=core --target "$target" "$@"
fi
echo "There is no core library for $target: run 'rustup target add $target'" >&2
echo "(or, on Debian, install rustc-web, cargo-web, rust-web-src and lld)." >&2
exit 1
