#!/bin/sh
# Adds the block devices inside QCOW1 images to a source tree of U-Boot.
#
#     add.sh U-BOOT-SOURCE LIBQCOW1.A
#
# Build the library for the board's processor with `cargo build --release --target TARGET` in the folder `capi`. Afterwards,
# configure and build U-Boot as usual.
. "$(dirname "$0")/../firmware.sh"
here=$(cd "$(dirname "$0")" && pwd)
[ $# -eq 2 ] || fail "usage: add.sh U-BOOT-SOURCE LIBQCOW1.A"
[ -f "$1/drivers/block/blk-uclass.c" ] || fail "$1 is not a source tree of U-Boot."
cp "$here/qcow1.c" "$here/../../capi/qcow1.h" "$1/drivers/block"
cp "$2" "$1/drivers/block/libqcow1.a"
cd "$1"
# The files are replaced, the lines are inserted once.
if grep -q UCLASS_QCOW1 include/dm/uclass-id.h; then
    exit 0
fi

# insert FILE PATTERN LINES: inserts lines before the only line that matches.
insert() {
    number=$(grep -n "$2" "$1" | cut -d : -f 1)
    [ "$(echo "$number" | wc -w)" = 1 ] || fail "$1 does not have exactly one line like '$2': add.sh does not support this version of U-Boot."
    {
        head -n $((number - 1)) "$1"
        printf '%s\n' "$3"
        tail -n +"$number" "$1"
    } >"$1.new"
    mv "$1.new" "$1"
}

insert drivers/block/blk-uclass.c '{ UCLASS_PVBLOCK, "pvblock" }' '	{ UCLASS_QCOW1, "qcow1" },'
# The driver and its command are for U-Boot itself, not for its first stages.
insert drivers/block/Makefile '^ifndef CONFIG_SPL_BUILD' 'obj-$(if $(CONFIG_SPL_BUILD),,$(CONFIG_BLK)) += qcow1.o'
insert Makefile '^export PLATFORM_LIBS' 'PLATFORM_LIBS += $(srctree)/drivers/block/libqcow1.a'
# EFI needs a device path for each disk. The cases before which these are inserted are only for the sandbox.
insert lib/efi_loader/efi_device_path.c '		case UCLASS_HOST:$' '#endif
		case UCLASS_QCOW1:
			return dp_size(dev->parent) + sizeof(struct efi_device_path_vendor) + 1;
#ifdef CONFIG_SANDBOX'
insert lib/efi_loader/efi_device_path.c '		case UCLASS_HOST: {' '#endif
		case UCLASS_QCOW1: {
			extern void *qcow1_device_path(void *end_of_parents, struct udevice *blk);

			return qcow1_device_path(dp_fill(buf, dev->parent), dev);
			}
#ifdef CONFIG_SANDBOX'
# Inserted last, because it marks that all other lines are inserted.
insert include/dm/uclass-id.h 'UCLASS_PWRSEQ,' '	UCLASS_QCOW1,		/* Disk inside a QCOW1 image */'
