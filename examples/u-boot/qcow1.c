// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Block devices inside QCOW1 images: `qcow1 bind host 0` makes the disk in the image on `host 0` the device `qcow1 0`.
 *
 * An image is on a block device, which must be at least as long as the image file, or, in the sandbox, in a host file of any
 * size. The library is qcow1's; see qcow1.h.
 */

#include <common.h>
#include <blk.h>
#include <command.h>
#include <dm.h>
#include <efi_api.h>
#include <malloc.h>
#include <os.h>
#include <part.h>
#include <sandbox_host.h>
#include <asm/cache.h>
#include <dm/device-internal.h>
#include <dm/lists.h>
#include <linux/err.h>

#include "qcow1.h"

DECLARE_GLOBAL_DATA_PTR;

#define SECTOR 512

/* The maximum size of the table cache of one image. */
#define CACHE_SIZE (256 << 10)

/* An image of the chain: its device, and the memory lent for it. */
struct layer {
	struct blk_desc *desc;
	int fd;
	void *bounce;
	void *memory;
};

struct qcow1_plat {
	qcow1_disk *disk;
	struct layer layers[QCOW1_MAX_IMAGES];
};

/* Drivers may use DMA, which needs aligned buffers. Into other buffers, blocks are read one by one through `bounce`. */
static int read_blocks(void *ctx, uint64_t lba, void *buf, size_t len)
{
	struct layer *layer = ctx;
	size_t size = layer->desc->blksz;
	lbaint_t count = len / size;

	if (IS_ALIGNED((uintptr_t)buf, ARCH_DMA_MINALIGN))
		return blk_dread(layer->desc, lba, count, buf) == count ? 0 : EIO;
	for (; count; count--, lba++, buf += size) {
		if (blk_dread(layer->desc, lba, 1, layer->bounce) != 1)
			return EIO;
		memcpy(buf, layer->bounce, size);
	}
	return 0;
}

#ifdef CONFIG_SANDBOX
/* The block device of a host file ends with its last whole block, so the size of the file itself is used. */
static int read_host_file(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct layer *layer = ctx;

	if (os_lseek(layer->fd, offset, OS_SEEK_SET) == -1)
		return EIO;
	while (len) {
		ssize_t count = os_read(layer->fd, buf, len);

		if (count <= 0)
			return EIO;
		buf += count;
		len -= count;
	}
	return 0;
}

static int describe_host_file(struct layer *layer, qcow1_device *device)
{
	struct host_sb_plat *plat = dev_get_plat(dev_get_parent(layer->desc->bdev));
	long long size;

	if (os_get_filesize(plat->filename, &size))
		return -EIO;
	layer->fd = plat->fd;
	device->size = size;
	device->block_size = 1;
	device->read = read_host_file;
	return 0;
}
#else
static int describe_host_file(struct layer *layer, qcow1_device *device)
{
	return -ENODEV;
}
#endif

static int describe(struct layer *layer, qcow1_device *device)
{
	device->ctx = layer;
	if (layer->desc->uclass_id == UCLASS_HOST)
		return describe_host_file(layer, device);
	device->size = (uint64_t)layer->desc->lba * layer->desc->blksz;
	device->block_size = layer->desc->blksz;
	device->read = read_blocks;
	layer->bounce = memalign(ARCH_DMA_MINALIGN, layer->desc->blksz);
	return layer->bounce ? 0 : -ENOMEM;
}

/* Prints the reason of an error of the library, and returns it as an error of U-Boot. */
static int report(const char *name, int error)
{
	if (!error)
		return 0;
	if (error > 0)
		return -error;
	printf("%s: %s\n", name, qcow1_message(error));
	return error == QCOW1_ERROR_MEMORY_TOO_SMALL ? -ENOMEM : -EINVAL;
}

/* Opens a block device as the next image of the chain, top first. */
static int add(struct qcow1_plat *plat, unsigned level, struct blk_desc *desc, uint32_t flags, const char *passphrase)
{
	struct layer *layer = &plat->layers[level];
	const char *name = desc->bdev->name;
	qcow1_device device = {0};
	size_t size;
	int ret;

	layer->desc = desc;
	ret = describe(layer, &device);
	if (ret)
		return ret;
	ret = qcow1_memory_needed(&device, CACHE_SIZE, flags, &size);
	if (ret)
		return report(name, ret);
	layer->memory = memalign(ARCH_DMA_MINALIGN, size);
	if (!layer->memory)
		return -ENOMEM;
	ret = (level ? qcow1_push : qcow1_open)(plat->disk, &device, layer->memory, size, flags);
	if (!ret && passphrase)
		ret = qcow1_set_passphrase(plat->disk, level, passphrase, strlen(passphrase));
	return report(name, ret);
}

static ulong qcow1_blk_read(struct udevice *dev, lbaint_t start, lbaint_t count, void *buf)
{
	struct qcow1_plat *plat = dev_get_plat(dev_get_parent(dev));
	int ret = report(dev->name, qcow1_read_sectors(plat->disk, start, count, buf));

	return ret ? (ulong)ret : count;
}

static const struct blk_ops qcow1_blk_ops = {
	.read = qcow1_blk_read,
};

U_BOOT_DRIVER(qcow1_blk) = {
	.name = "qcow1_blk",
	.id = UCLASS_BLK,
	.ops = &qcow1_blk_ops,
};

static int qcow1_unbind(struct udevice *dev)
{
	struct qcow1_plat *plat = dev_get_plat(dev);

	if (plat->disk)
		qcow1_close(plat->disk);
	for (int i = 0; i < QCOW1_MAX_IMAGES; i++) {
		free(plat->layers[i].memory);
		free(plat->layers[i].bounce);
	}
	free(plat->disk);
	return 0;
}

U_BOOT_DRIVER(qcow1) = {
	.name = "qcow1",
	.id = UCLASS_QCOW1,
	.unbind = qcow1_unbind,
	.plat_auto = sizeof(struct qcow1_plat),
};

UCLASS_DRIVER(qcow1) = {
	.id = UCLASS_QCOW1,
	.name = "qcow1",
};

/* The EFI device path of the disk: a node below the root's, with the device's number. */
void *qcow1_device_path(void *end_of_parents, struct udevice *blk)
{
	static const efi_guid_t guid =
		EFI_GUID(0x0c2d1c5e, 0x8d4b, 0x4c0f, 0x9a, 0x51, 0x71, 0x63, 0x6f, 0x77, 0x31, 0x00);
	struct efi_device_path_vendor *node = end_of_parents;
	struct blk_desc *desc = dev_get_uclass_plat(blk);

	node->dp.type = DEVICE_PATH_TYPE_HARDWARE_DEVICE;
	node->dp.sub_type = DEVICE_PATH_SUB_TYPE_VENDOR;
	node->dp.length = sizeof(*node) + 1;
	memcpy(&node->guid, &guid, sizeof(guid));
	node->vendor_data[0] = desc->devnum;
	return &node->vendor_data[1];
}

/* Makes the block device of a disk whose images are open. */
static int add_block_device(struct udevice *dev)
{
	struct qcow1_plat *plat = dev_get_plat(dev);
	uint64_t sectors = DIV_ROUND_UP(qcow1_size(plat->disk), SECTOR);
	struct blk_desc *desc;
	struct udevice *blk;
	int ret;

	if ((lbaint_t)sectors != sectors)
		return -EFBIG;
	ret = blk_create_devicef(dev, "qcow1_blk", "blk", UCLASS_QCOW1, -1, SECTOR, sectors, &blk);
	if (ret)
		return ret;
	desc = dev_get_uclass_plat(blk);
	blkcache_invalidate(UCLASS_QCOW1, desc->devnum);
	snprintf(desc->vendor, BLK_VEN_SIZE, "qcow1");
	snprintf(desc->product, BLK_PRD_SIZE, "disk image");
	snprintf(desc->revision, BLK_REV_SIZE, "%.7s", qcow1_version());
	ret = device_probe(blk);
	if (ret)
		return ret;
	printf("qcow1 %d: %llu bytes\n", desc->devnum, (unsigned long long)qcow1_size(plat->disk));
	return 0;
}

static int remove(struct udevice *dev)
{
	int ret = device_remove(dev, DM_REMOVE_NORMAL);

	if (!ret)
		ret = device_chld_unbind(dev, NULL);
	return ret ? ret : device_unbind(dev);
}

/* Opens each image that the arguments name, and makes the block device. */
static int bind(struct udevice *dev, int argc, char *const argv[], const char *passphrase)
{
	struct qcow1_plat *plat = dev_get_plat(dev);
	struct blk_desc *desc;
	unsigned level = 0;
	uint32_t flags;
	int ret;

	plat->disk = memalign(QCOW1_DISK_ALIGN, sizeof(*plat->disk));
	if (!plat->disk)
		return -ENOMEM;
	memset(plat->disk, 0, sizeof(*plat->disk));
	while (argc) {
		flags = 0;
		if (level && !strcmp(*argv, "raw")) {
			flags = QCOW1_RAW;
			argc--;
			argv++;
		}
		if (argc < 2 || level >= QCOW1_MAX_IMAGES)
			return -E2BIG;
		ret = blk_get_device_by_str(argv[0], argv[1], &desc);
		if (ret < 0)
			return ret;
		ret = add(plat, level++, desc, flags, passphrase);
		if (ret)
			return ret;
		argc -= 2;
		argv += 2;
	}
	return add_block_device(dev);
}

static int do_qcow1_bind(struct cmd_tbl *cmdtp, int flag, int argc, char *const argv[])
{
	const char *passphrase = NULL;
	struct udevice *dev;
	int ret;

	argc--;
	argv++;
	if (argc >= 2 && !strcmp(*argv, "-p")) {
		passphrase = argv[1];
		argc -= 2;
		argv += 2;
	}
	if (argc < 2)
		return CMD_RET_USAGE;
	ret = device_bind_driver(gd->dm_root, "qcow1", "qcow1", &dev);
	if (ret)
		return CMD_RET_FAILURE;
	ret = bind(dev, argc, argv, passphrase);
	if (ret) {
		printf("Cannot bind (err=%d)\n", ret);
		remove(dev);
		return CMD_RET_FAILURE;
	}
	return 0;
}

static int do_qcow1_unbind(struct cmd_tbl *cmdtp, int flag, int argc, char *const argv[])
{
	struct udevice *blk;

	if (argc != 2)
		return CMD_RET_USAGE;
	if (blk_find_device(UCLASS_QCOW1, dectoul(argv[1], NULL), &blk)) {
		printf("There is no device qcow1 %s\n", argv[1]);
		return CMD_RET_FAILURE;
	}
	return remove(dev_get_parent(blk)) ? CMD_RET_FAILURE : 0;
}

static char qcow1_help_text[] =
	"bind [-p passphrase] <interface> <dev> [[raw] <interface> <dev>]...\n"
	"    - make the disk in the QCOW1 image on a block device a device of its own;\n"
	"      its backing images follow, the one below it first\n"
	"qcow1 unbind <dev> - remove such a device";

U_BOOT_CMD_WITH_SUBCMDS(qcow1, "disks inside QCOW1 images", qcow1_help_text,
			U_BOOT_SUBCMD_MKENT(bind, CONFIG_SYS_MAXARGS, 1, do_qcow1_bind),
			U_BOOT_SUBCMD_MKENT(unbind, 2, 1, do_qcow1_unbind));
