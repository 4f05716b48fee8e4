// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Disks inside QCOW1 images: `qcow1 NAME FILE` makes the disk in the image FILE the disk NAME of GRUB.
 *
 * The library is qcow1's; see qcow1.h. GRUB loads only modules whose license is compatible with the GPL, version 3. This file's
 * and the library's are, so the module, which is compiled with GRUB's headers, is under the GPL, version 3 or later.
 */

#include <grub/device.h>
#include <grub/disk.h>
#include <grub/dl.h>
#include <grub/err.h>
#include <grub/extcmd.h>
#include <grub/file.h>
#include <grub/misc.h>
#include <grub/mm.h>
#include <grub/time.h>

#ifdef __i386__
/* GRUB is compiled with -mregparm=3 -mrtd, and the library is not. */
#define QCOW1_CALL __attribute__((cdecl, regparm(0)))
#endif
#include "qcow1.h"

GRUB_MOD_LICENSE("GPLv3+");
GRUB_MOD_NAME(qcow1);
GRUB_MOD_DEP(extcmd);

#ifdef __aarch64__
/* GRUB's loader of modules cannot relocate a direct access to 32 bits of data. */
static grub_err_t *volatile address_of_errno = &grub_errno;
#define grub_errno (*address_of_errno)
#endif

#define SECTOR 512

/* The maximum size of the table cache of one image. */
#define CACHE_SIZE (256 << 10)

/* An image: a file or a device, and the memory lent for it. */
struct layer {
	grub_file_t file;
	grub_device_t device;
	void *memory;
};

struct disk {
	qcow1_disk images;
	struct layer layers[QCOW1_MAX_IMAGES];
	struct disk *next;
	char *name;
	unsigned long id;
	unsigned long users;
};

static grub_dl_t module;
static grub_extcmd_t command;
static struct disk *disks;
static unsigned long next_id;

static int QCOW1_CALL read_layer(void *ctx, uint64_t offset, void *buf, size_t len)
{
	struct layer *layer = ctx;

	/* GRUB's file systems take an earlier error for one of theirs. */
	grub_errno = GRUB_ERR_NONE;
	if (layer->device)
		return grub_disk_read(layer->device->disk, 0, offset, len, buf);
	grub_file_seek(layer->file, offset);
	if (!grub_errno && grub_file_read(layer->file, buf, len) != (grub_ssize_t)len && !grub_errno)
		grub_error(GRUB_ERR_READ_ERROR, "%s ended early", layer->file->name);
	return grub_errno;
}

/* Makes an error of the library one of GRUB. A positive error is read_layer()'s, whose message is set already. */
static grub_err_t report(const char *name, int error)
{
	if (error < 0)
		return grub_error(GRUB_ERR_READ_ERROR, "%s: %s", name, qcow1_message(error));
	/* 0 clears the error of a read that the library has repeated with success. */
	return grub_errno = error;
}

static grub_err_t open_device(struct layer *layer, const char *name)
{
	char *inside = grub_file_get_device_name(name);

	layer->device = inside ? grub_device_open(inside) : NULL;
	grub_free(inside);
	if (layer->device && !layer->device->disk)
		return grub_error(GRUB_ERR_BAD_DEVICE, "%s is not a disk", name);
	return grub_errno;
}

/* Opens a file or, as `(hd1)` or `(hd1,msdos1)`, a device as the next image of a disk, top first. */
static grub_err_t add(struct disk *disk, uint32_t level, const char *name, uint32_t flags, const char *passphrase)
{
	struct layer *layer = &disk->layers[level];
	qcow1_device device = {.ctx = layer, .block_size = 1, .read = read_layer};
	const char *end = *name == '(' ? grub_strchr(name, ')') : NULL;
	size_t size;
	int error;

	if (end && !end[1]) {
		if (open_device(layer, name))
			return grub_errno;
		device.size = grub_disk_native_sectors(layer->device->disk) * SECTOR;
	} else {
		/* Verifiers read a file whole into memory. They do so for each file inside the image. */
		layer->file = grub_file_open(name, GRUB_FILE_TYPE_LOOPBACK | GRUB_FILE_TYPE_NO_DECOMPRESS |
							   GRUB_FILE_TYPE_SKIP_SIGNATURE);
		if (!layer->file)
			return grub_errno;
		device.size = grub_file_size(layer->file);
	}
	error = qcow1_memory_needed(&device, CACHE_SIZE, flags, &size);
	if (error)
		return report(name, error);
	layer->memory = grub_malloc(size);
	if (!layer->memory)
		return grub_errno;
	error = (level ? qcow1_push : qcow1_open)(&disk->images, &device, layer->memory, size, flags);
	if (!error && passphrase)
		error = qcow1_set_passphrase(&disk->images, level, passphrase, grub_strlen(passphrase));
	return report(name, error);
}

/* Fails if the lowest image needs another one, or if the first sector cannot be read. */
static grub_err_t check(struct disk *disk, const char *name)
{
	char buf[1024];
	size_t len;
	int error = qcow1_backing_name(&disk->images, buf, sizeof(buf) - 1, &len);

	if (error)
		return report(name, error);
	if (!len)
		/* GRUB's file systems and partition tables would not print the cause. */
		return report(disk->name, qcow1_read_sectors(&disk->images, 0, qcow1_size(&disk->images) != 0, buf));
	/* The name is the image's, so it could have control sequences for the terminal. */
	for (size_t i = 0; i < len; i++)
		if (buf[i] < ' ' || buf[i] > '~')
			buf[i] = '?';
	buf[len] = '\0';
	return grub_error(GRUB_ERR_BAD_ARGUMENT, "%s needs its backing file, %s", name, buf);
}

static grub_err_t add_all(struct disk *disk, int count, char **names, const char *passphrase)
{
	uint32_t level = 0;
	uint32_t flags;

	for (; count; count--, names++) {
		flags = 0;
		if (level && count > 1 && !grub_strcmp(*names, "raw")) {
			flags = QCOW1_RAW;
			count--;
			names++;
		}
		if (level == QCOW1_MAX_IMAGES)
			return grub_error(GRUB_ERR_BAD_ARGUMENT, "a disk has at most %d images", QCOW1_MAX_IMAGES);
		if (add(disk, level++, *names, flags, passphrase))
			return grub_errno;
	}
	return check(disk, names[-1]);
}

static void free_disk(struct disk *disk)
{
	/* This wipes the keys. */
	qcow1_close(&disk->images);
	for (int i = 0; i < QCOW1_MAX_IMAGES; i++) {
		if (disk->layers[i].file)
			grub_file_close(disk->layers[i].file);
		if (disk->layers[i].device)
			grub_device_close(disk->layers[i].device);
		grub_free(disk->layers[i].memory);
	}
	grub_free(disk->name);
	grub_free(disk);
}

static grub_err_t make_disk(const char *name, int count, char **files, const char *passphrase)
{
	grub_disk_t other;
	struct disk *disk;

	if (!*name || grub_strchr(name, ',') || grub_strchr(name, '(') || grub_strchr(name, ')'))
		return grub_error(GRUB_ERR_BAD_ARGUMENT, "a disk's name has no comma and no parentheses");
	other = grub_disk_open(name);
	if (other) {
		grub_disk_close(other);
		return grub_error(GRUB_ERR_BAD_ARGUMENT, "there is already a disk %s", name);
	}
	grub_errno = GRUB_ERR_NONE;
	disk = grub_memalign(QCOW1_DISK_ALIGN, sizeof(*disk));
	if (!disk)
		return grub_errno;
	grub_memset(disk, 0, sizeof(*disk));
	disk->id = next_id++;
	disk->name = grub_strdup(name);
	if (!disk->name || add_all(disk, count, files, passphrase)) {
		free_disk(disk);
		return grub_errno;
	}
	disk->next = disks;
	disks = disk;
	return GRUB_ERR_NONE;
}

static grub_err_t delete_disk(const char *name)
{
	struct disk **link = &disks;
	struct disk *disk;

	while (*link && grub_strcmp((*link)->name, name))
		link = &(*link)->next;
	disk = *link;
	if (!disk)
		return grub_error(GRUB_ERR_BAD_DEVICE, "%s is not a disk of qcow1", name);
	if (disk->users)
		return grub_error(GRUB_ERR_BAD_DEVICE, "the disk %s is in use", name);
	*link = disk->next;
	free_disk(disk);
	return GRUB_ERR_NONE;
}

static int iterate(grub_disk_dev_iterate_hook_t hook, void *data, grub_disk_pull_t pull)
{
	for (struct disk *disk = pull == GRUB_DISK_PULL_NONE ? disks : NULL; disk; disk = disk->next)
		if (hook(disk->name, data))
			return 1;
	return 0;
}

static grub_err_t open(const char *name, grub_disk_t handle)
{
	struct disk *disk = disks;
	uint64_t size;

	while (disk && grub_strcmp(disk->name, name))
		disk = disk->next;
	if (!disk)
		return grub_error(GRUB_ERR_UNKNOWN_DEVICE, "%s is not a disk of qcow1", name);
	size = qcow1_size(&disk->images);
	handle->total_sectors = size / SECTOR + (size % SECTOR != 0);
	handle->max_agglomerate = GRUB_DISK_MAX_MAX_AGGLOMERATE;
	handle->id = disk->id;
	handle->data = disk;
	disk->users++;
	/* `rmmod` keeps the module. */
	grub_dl_ref(module);
	return GRUB_ERR_NONE;
}

static void close(grub_disk_t handle)
{
	struct disk *disk = handle->data;

	disk->users--;
	grub_dl_unref(module);
}

static grub_err_t read(grub_disk_t handle, grub_disk_addr_t sector, grub_size_t count, char *buf)
{
	struct disk *disk = handle->data;

	return report(disk->name, qcow1_read_sectors(&disk->images, sector, count, buf));
}

static grub_err_t write(grub_disk_t handle, grub_disk_addr_t sector, grub_size_t count, const char *buf)
{
	(void)sector, (void)count, (void)buf;
	return grub_error(GRUB_ERR_WRITE_ERROR, "the disk %s is read-only", handle->name);
}

static struct grub_disk_dev driver = {
	.name = "qcow1",
	/* GRUB's cache tells kinds of disks apart by it. None of GRUB's own numbers. */
	.id = (enum grub_disk_dev_id)0x71636f77,
	.disk_iterate = iterate,
	.disk_open = open,
	.disk_close = close,
	.disk_read = read,
	.disk_write = write,
};

static const struct grub_arg_option options[] = {
	{"passphrase", 'p', 0, "Decrypt the images with it.", "PASSPHRASE", ARG_TYPE_STRING},
	{"delete", 'd', 0, "Remove the disk.", NULL, ARG_TYPE_NONE},
	{NULL, 0, 0, NULL, NULL, ARG_TYPE_NONE},
};

static grub_err_t qcow1(grub_extcmd_context_t context, int count, char **args)
{
	struct grub_arg_list *state = context->state;

	if (state[1].set && count == 1)
		return delete_disk(args[0]);
	if (state[1].set || count < 2)
		return grub_error(GRUB_ERR_BAD_ARGUMENT, "see qcow1 --help for the arguments");
	return make_disk(args[0], count - 1, args + 1, state[0].set ? state[0].arg : NULL);
}

GRUB_MOD_INIT(qcow1)
{
	module = mod;
	/* GRUB's cache may still have sectors of the first disks from before `rmmod`. */
	next_id = grub_get_time_ms();
	command = grub_register_extcmd("qcow1", qcow1, 0, "[-p PASSPHRASE] NAME FILE [[raw] BACKING-FILE]... | -d NAME",
				       "Make the disk inside a QCOW1 image a disk of GRUB.", options);
	grub_disk_dev_register(&driver);
}

GRUB_MOD_FINI(qcow1)
{
	struct disk *next;

	grub_disk_dev_unregister(&driver);
	grub_unregister_extcmd(command);
	for (; disks; disks = next) {
		next = disks->next;
		free_disk(disks);
	}
}

#ifdef __i386__
/* The library for i386 has no such functions. build.sh renames its calls, since GRUB's have another calling convention. */
void *QCOW1_CALL qcow1_memcpy(void *to, const void *from, size_t len)
{
	return grub_memmove(to, from, len);
}

void *QCOW1_CALL qcow1_memset(void *to, int byte, size_t len)
{
	return grub_memset(to, byte, len);
}
#endif
