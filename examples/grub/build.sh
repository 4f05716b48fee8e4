#!/bin/sh
# Builds GRUB's module qcow1.mod, and prints its path.
#
#     build.sh PLATFORM [GRUB-SOURCE GRUB-LIBRARY]
#
# PLATFORM is x86_64-efi, i386-pc or arm64-efi. The module is for the version of GRUB whose headers it is compiled with. Without
# further arguments, that is Debian's: it downloads the source and the packages that the machine's own package lists sign, and
# keeps what it needs below the target folder. GRUB-SOURCE is the source of another GRUB, and GRUB-LIBRARY a folder with its
# config.h, such as /usr/lib/grub/x86_64-efi.
. "$(dirname "$0")/../firmware.sh"
usage='usage: build.sh x86_64-efi|i386-pc|arm64-efi [GRUB-SOURCE GRUB-LIBRARY]'
[ $# -eq 1 ] || [ $# -eq 3 ] || fail "$usage"
platform=$1
source=${2:+$(cd "$2" && pwd)}
library=${3:+$(cd "$3" && pwd)}
cd "$(dirname "$0")"
need clang "a C compiler for any processor (Debian: clang)"
need llvm-objcopy "LLVM's tools (Debian: llvm)"
need make make
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(cd ../.. && pwd)/target/firmware}
export CARGO_TARGET_DIR
grub=$CARGO_TARGET_DIR/grub

# The options that GRUB is compiled with, and those that leave only relocations that it knows.
case $platform in
x86_64-efi)
    target=x86_64-unknown-none
    options='--target=x86_64-unknown-none-elf -mcmodel=large -mno-red-zone -mno-mmx -mno-sse -msoft-float
        -DGRUB_MACHINE_EFI -DGRUB_MACHINE=X86_64_EFI'
    ;;
i386-pc)
    target=../../capi/targets/i386-none.json
    options='--target=i386-unknown-none-elf -march=i386 -mregparm=3 -mrtd -mno-sse -mno-mmx -msoft-float
        -DGRUB_MACHINE_PCBIOS -DGRUB_MACHINE=I386_PC'
    ;;
arm64-efi)
    target=aarch64-unknown-none
    options='--target=aarch64-unknown-none-elf -mgeneral-regs-only -DGRUB_MACHINE_EFI -DGRUB_MACHINE=ARM64_EFI'
    ;;
*) fail "$usage" ;;
esac

# download: unpacks the headers of Debian's GRUB, and the modules of all three platforms. It installs nothing.
download() {
    need apt-get "Debian's package manager, or name the folders of another GRUB"
    need dpkg-source "Debian's tools for sources (dpkg-dev), or name the folders of another GRUB"
    rm -rf "$grub/debian" "$grub/new"
    mkdir -p "$grub/new/lists/partial"
    package_sources "$grub/new" deb deb-src ||
        fail "This machine has no list of Debian's packages: name the folders of another GRUB."
    set -- -q=2 -oDir::Etc::sourcelist="$list" -oDir::Etc::sourceparts=/dev/null -oDir::State::Lists="$grub/new/lists" \
        -oDir::Cache::pkgcache= -oDir::Cache::srcpkgcache= -oAPT::Sandbox::User=root \
        -oAPT::Architectures::=amd64 -oAPT::Architectures::=arm64
    apt-get "$@" update
    (
        cd "$grub/new"
        apt-get "$@" download grub-efi-amd64-bin:amd64 grub-efi-amd64-signed:amd64 grub-pc-bin:amd64 \
            grub-efi-arm64-bin:arm64 grub-efi-arm64-signed:arm64
        apt-get "$@" source --download-only grub2
        dpkg-source --no-check -x ./*.dsc source >source.log
        for package in ./*.deb; do
            dpkg-deb -x "$package" packages
        done
        mv packages/usr/lib/grub/* source/include .
        rm -rf packages source lists ./*.deb ./*.tar.* ./*.dsc
    )
    mv "$grub/new" "$grub/debian"
}

if [ -z "$source" ]; then
    [ -d "$grub/debian/include" ] || download
    source=$grub/debian
    library=$grub/debian/$platform
fi
[ -f "$source/include/grub/dl.h" ] || fail "$source is not a source of GRUB."
[ -f "$library/config.h" ] || fail "$library has no config.h of GRUB."
work=$grub/$platform
rm -rf "$work"
mkdir -p "$work/include/grub"
# As GRUB's configure links them.
ln -s "$source/include/grub/$(echo "$platform" | sed 's/-.*//')" "$work/include/grub/cpu"
ln -s "$source/include/grub/$(echo "$platform" | tr - /)" "$work/include/grub/machine"

# In its folder, for the options there.
(
    cd ../../capi
    set -- --quiet --release --locked
    [ $platform != x86_64-efi ] ||
        set -- "$@" --config "target.$target.rustflags=['-Crelocation-model=static', '-Ccode-model=large']"
    bare_cargo "${target#../../capi/}" build "$@"
    make --no-print-directory --silent object LIBRARY="$CARGO_TARGET_DIR/$(basename "$target" .json)/release/libqcow1.a" \
        OBJECT="$work/library.o" FUNCTIONS="qcow1_open qcow1_push qcow1_close qcow1_set_passphrase qcow1_size \
            qcow1_read_sectors qcow1_backing_name qcow1_memory_needed qcow1_message"
)
if [ $platform = i386-pc ]; then
    # GRUB has functions of these names, with another calling convention.
    for name in memcpy memmove memset memcmp bcmp; do
        llvm-objcopy --redefine-sym $name=qcow1_$name "$work/library.o"
    done
fi
# shellcheck disable=SC2086
clang $options -std=gnu99 -Os -ffreestanding -nostdlibinc -fno-pic -fno-stack-protector -fno-asynchronous-unwind-tables \
    -Wall -Wextra -Wno-unused-parameter -Werror -DGRUB_FILE=\"qcow1.c\" \
    -I"$work/include" -I"$source/include" -I"$library" -I../../capi -c qcow1.c -o "$work/glue.o"
ld.lld -r -o "$work/module.o" "$work/glue.o" "$work/library.o"
# GRUB makes each global symbol of a module known to all later modules.
llvm-objcopy --strip-unneeded --keep-global-symbol=grub_mod_init --keep-symbol=grub_mod_init --keep-symbol=grub_mod_fini \
    --remove-section=.comment --remove-section=.llvm_addrsig --remove-section=.note.GNU-stack \
    "$work/module.o" "$work/qcow1.mod"
echo "$work/qcow1.mod"
