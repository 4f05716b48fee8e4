#!/bin/sh
# Checks what README.md says of libraries for module loaders: for each machine, one relocatable
# object with the relocations that GRUB's loaders know, without statics, and with no other global
# symbols than the functions of qcow1.h and those that compilers assume. The one for i386 then reads
# an image from code with GRUB's calling convention for a BIOS, on this machine.
cd "$(dirname "$0")"
. ../examples/firmware.sh

# The firmware examples' folder, for their builds of `core`.
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd .. && pwd)/target}/firmware
export CARGO_TARGET_DIR
work=$CARGO_TARGET_DIR/modules
mkdir -p "$work"
need clang "a C compiler for any processor (Debian: clang)"
need ld.lld "LLVM's linker (Debian: lld)"
need llvm-readelf "LLVM's tools (Debian: llvm)"

# object TARGET RELOCATIONS OPTION...: builds the library for a target with more options of Cargo,
# and makes its object.
object() {
    name=$(basename "$1" .json)
    relocations=$2
    target=$1
    shift 2
    bare_cargo "$target" build --quiet --release --locked "$@"
    rm -f "$work/$name.o"
    make --no-print-directory --silent "LIBRARY=$CARGO_TARGET_DIR/$name/release/libqcow1.a" "OBJECT=$work/$name.o" object

    found=$(llvm-readelf -r -W "$work/$name.o" | awk '$3 ~ /^R_/ { print $3 }' | sort -u)
    for relocation in $found; do
        case " $relocations " in
        *" $relocation "*) ;;
        *) fail "$name.o has a relocation that GRUB does not know: $relocation." ;;
        esac
    done
    [ -n "$found" ] || fail "$name.o has no relocations: it was not read."

    statics=$(llvm-readelf -S -W "$work/$name.o" | grep -E ' \.(s?data|s?bss)(\.[^r]| )' || true)
    [ -z "$statics" ] || fail "$name.o has statics: $statics"

    llvm-readelf -s -W "$work/$name.o" | awk '$5 == "GLOBAL" || $5 == "WEAK" { print $8 }' |
        grep -vE '^(memcpy|memmove|memset|memcmp|bcmp)$|17compiler_builtins3mem' | sort >"$work/globals"
    diff "$work/globals" symbols.txt || fail "The global symbols of $name.o are not those of symbols.txt."
    echo "$name.o: $(llvm-readelf -S -W "$work/$name.o" | awk '
        function number(digits, i, sum) {
            for (i = 1; i <= length(digits); i++)
                sum = sum * 16 + index("123456789abcdef", substr(digits, i, 1))
            return sum
        }
        / \.(text|rodata|rodata\.str|data\.rel\.ro) / { sub(/.*\] /, ""); sum += number($5) }
        END { print sum }') bytes of code and constants; $(echo $found)"
}

object x86_64-unknown-none "R_X86_64_64 R_X86_64_PC32 R_X86_64_PLT32 R_X86_64_PC64 R_X86_64_32 R_X86_64_32S" \
    --config 'target.x86_64-unknown-none.rustflags=["-Crelocation-model=static", "-Ccode-model=large"]'
object aarch64-unknown-none "R_AARCH64_ABS64 R_AARCH64_ADD_ABS_LO12_NC R_AARCH64_LDST64_ABS_LO12_NC R_AARCH64_CALL26 \
R_AARCH64_JUMP26 R_AARCH64_PREL32 R_AARCH64_ADR_PREL_PG_HI21"
object "$PWD/targets/i386-none.json" "R_386_32 R_386_PC32"

# As README.md makes a module: no symbol of the library is global afterwards, and none is missing.
clang --target=x86_64-unknown-none-elf -mcmodel=large -ffreestanding -fno-pic -I. -c tests/declarations.c -o "$work/glue.o"
ld.lld -r -o "$work/module.o" "$work/glue.o" "$work/x86_64-unknown-none.o"
llvm-objcopy --keep-global-symbol=use_all "$work/module.o"
globals=$(llvm-readelf -s -W "$work/module.o" | awk '$5 == "GLOBAL" || $5 == "WEAK" { print $8 }')
[ "$globals" = use_all ] || fail "A module has these global symbols: $globals"

# The image's size is in its header.
image=$(cd ../tests/data && pwd)/plain.qcow
size=$(od -A n -t u8 --endian=big -j 24 -N 8 "$image" | tr -d ' ')
for source in calling i386; do
    # At this level, the compiler makes no calls of memcpy from loops.
    clang --target=i386-unknown-none-elf -march=i386 -mregparm=3 -mrtd -O1 -ffreestanding -fno-pic -mno-sse -Wall -Wextra -Werror \
        '-DQCOW1_CALL=__attribute__((cdecl, regparm(0)))' "-DIMAGE=\"$image\"" "-DSIZE=$size" -I. \
        -c "tests/$source.c" -o "$work/$source.o"
done
ld.lld -m elf_i386 -e start -o "$work/calling" "$work/calling.o" "$work/i386.o" "$work/i386-none.o"
status=0
"$work/calling" || status=$?
[ $status -eq 0 ] || fail "The program for i386 ended with status $status."
echo "i386: code with -mregparm=3 -mrtd has read the image."
