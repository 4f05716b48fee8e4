/* The functions of README.md for other projects' interfaces, word for word, each between two marks
 * and with stubs of its project. The disk must be the same through each.
 *
 *     interfaces IMAGE */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "qcow1.h"

/* The function of examples/u-boot/qcow1.c, with as much of U-Boot as it touches. */
typedef unsigned long ulong;
typedef unsigned long lbaint_t;
struct udevice {
    const char *name;
    qcow1_disk *disk;
};
struct qcow1_plat {
    qcow1_disk *disk;
};
static struct qcow1_plat plat;
#define dev_get_parent(device) (device)
static struct qcow1_plat *dev_get_plat(struct udevice *device) {
    plat.disk = device->disk;
    return &plat;
}
static int report(const char *name, int error) {
    return (void)name, error == 0 ? 0 : -22;
}
#include "qcow1_blk_read.h"

static unsigned char file[1 << 20];
static size_t file_size;
static unsigned char memory[1 << 16];

/* Stubs of U-Boot. */
#define dev_get_priv(device) ((device)->disk)
#define EIO 5

/* u-boot */
static unsigned long blk_read(struct udevice *dev, lbaint_t start, lbaint_t count, void *buf) {
    int error = qcow1_read_sectors(dev_get_priv(dev), start, count, buf);
    return error == 0 ? count : (unsigned long)-EIO;
}
/* end */

/* Stubs of kvmtool. */
typedef uint64_t u64;
#define SECTOR_SHIFT 9
#define SECTOR_SIZE (1UL << SECTOR_SHIFT)
struct disk_image {
    void *priv;
};

/* kvmtool */
static ssize_t image_read(struct disk_image *image, u64 sector, const struct iovec *iov, int count, void *param) {
    ssize_t len = 0;
    (void)param;
    for (; count-- > 0; len += (ssize_t)iov->iov_len, sector += iov++->iov_len >> SECTOR_SHIFT)
        if (iov->iov_len % SECTOR_SIZE != 0 ||
            qcow1_read_sectors(image->priv, sector, iov->iov_len >> SECTOR_SHIFT, iov->iov_base) != 0)
            return -1;
    return len;
}
/* end */

/* Stubs of GRUB. */
typedef int grub_err_t;
typedef uint64_t grub_disk_addr_t;
typedef size_t grub_size_t;
struct grub_disk {
    void *data;
};
enum { GRUB_ERR_NONE, GRUB_ERR_READ_ERROR };
static grub_err_t grub_error(grub_err_t error, const char *format, const char *message) {
    fprintf(stderr, format, message);
    return error;
}

/* grub */
static grub_err_t disk_read(struct grub_disk *disk, grub_disk_addr_t sector, grub_size_t size, char *buf) {
    int error = qcow1_read_sectors(disk->data, sector, size, buf);
    return error == 0 ? GRUB_ERR_NONE : grub_error(GRUB_ERR_READ_ERROR, "%s", qcow1_message(error));
}
/* end */

/* Stubs of Solo5: a device that reads one block at a time. */
typedef int solo5_result_t;
typedef uint64_t solo5_handle_t;
typedef uint64_t solo5_off_t;
enum { SOLO5_R_OK, SOLO5_R_EINVAL = 2 };
static solo5_result_t solo5_block_read(solo5_handle_t handle, solo5_off_t offset, uint8_t *buf, size_t size) {
    if (handle != 7 || size != 512 || offset % 512 != 0 || offset >= sizeof file)
        return SOLO5_R_EINVAL;
    memcpy(buf, file + offset, size);
    return SOLO5_R_OK;
}

/* solo5 */
static int read_solo5(void *handle, uint64_t lba, void *buf, size_t len) {
    for (size_t at = 0; at < len; at += 512)
        if (solo5_block_read(*(solo5_handle_t *)handle, lba * 512 + at, (uint8_t *)buf + at, 512) != SOLO5_R_OK)
            return 1;
    return 0;
}
/* end */

static int read_memory(void *image, uint64_t offset, void *buf, size_t len) {
    memcpy(buf, (unsigned char *)image + offset, len);
    return 0;
}

/* ten lines */
int driver_read(void *ctx, uint64_t lba, void *buf, size_t len); /* your driver: 0, or a positive error of its own */
int first_sector(uint64_t device_size, void *sector) {
    static qcow1_disk disk;
    static unsigned char memory[32768]; /* lent while the disk is open; 512 bytes are enough without compression */
    qcow1_device device = {NULL, device_size, 512, 0, driver_read};
    int error = qcow1_open(&disk, &device, memory, sizeof memory, 0);
    return error != 0 ? error : qcow1_read(&disk, 0, sector, 512); /* any offset, any length */
}
/* end */

int driver_read(void *ctx, uint64_t lba, void *buf, size_t len) {
    (void)ctx;
    return read_memory(file, lba * 512, buf, len);
}

static void check(int condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "%s failed\n", what);
        exit(1);
    }
}

int main(int argc, char **argv) {
    static qcow1_disk disk, over_solo5;
    static unsigned char expected[4096], found[4096];
    FILE *image = argc == 2 ? fopen(argv[1], "rb") : NULL;
    check(image != NULL, "opening the image");
    file_size = fread(file, 1, sizeof file, image);
    fclose(image);
    qcow1_device device = {file, file_size, 1, 0, read_memory};
    check(qcow1_open(&disk, &device, memory, sizeof memory, 0) == 0, "qcow1_open");

    /* Not a multiple of 512: the last block reaches past the end of the file. */
    static unsigned char more_memory[1 << 16];
    solo5_handle_t handle = 7;
    qcow1_device solo5 = {&handle, file_size, 512, 0, read_solo5};
    check(qcow1_open(&over_solo5, &solo5, more_memory, sizeof more_memory, 0) == 0, "qcow1_open over Solo5");

    struct udevice blk = {"qcow1", &disk};
    struct disk_image kvm = {&disk};
    struct grub_disk grub = {&disk};
    uint64_t size = qcow1_size(&disk), sectors = (size + 511) / 512;
    for (uint64_t sector = 0; sector < sectors; sector += 8) {
        uint64_t count = sectors - sector < 8 ? sectors - sector : 8, inside = size - sector * 512;
        size_t len = (size_t)count * 512;
        struct iovec parts[3] = {{found, 512}, {found + 512, 0}, {found + 512, len - 512}};
        /* The last sector may reach past the end of the disk. */
        memset(expected, 0, len);
        check(qcow1_read(&disk, sector * 512, expected, inside < len ? (size_t)inside : len) == 0, "qcow1_read");
        memset(found, 0xcc, sizeof found);
        check(blk_read(&blk, sector, count, found) == count && memcmp(found, expected, len) == 0, "U-Boot");
        memset(found, 0xcc, sizeof found);
        check(qcow1_blk_read(&blk, sector, count, found) == count && memcmp(found, expected, len) == 0, "the driver");
        memset(found, 0xcc, sizeof found);
        check(image_read(&kvm, sector, parts, 3, NULL) == (ssize_t)len && memcmp(found, expected, len) == 0, "kvmtool");
        memset(found, 0xcc, sizeof found);
        check(disk_read(&grub, sector, count, (char *)found) == 0 && memcmp(found, expected, len) == 0, "GRUB");
        memset(found, 0xcc, sizeof found);
        check(qcow1_read_sectors(&over_solo5, sector, count, found) == 0 && memcmp(found, expected, len) == 0, "Solo5");
    }
    /* Past the end, and where a product with 512 would wrap to a sector of the disk. */
    const uint64_t past[] = {sectors, (uint64_t)1 << 55, ((uint64_t)1 << 55) + 3, UINT64_MAX};
    struct iovec one = {found, 512};
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        check(blk_read(&blk, past[i], 1, found) == (unsigned long)-EIO, "a read past the end in U-Boot");
        check(qcow1_blk_read(&blk, past[i], 1, found) == (ulong)-22, "a read past the end in the driver");
        check(image_read(&kvm, past[i], &one, 1, NULL) == -1, "a read past the end in kvmtool");
        check(disk_read(&grub, past[i], 1, (char *)found) == GRUB_ERR_READ_ERROR, "a read past the end in GRUB");
    }
    check(blk_read(&blk, 0, ((uint64_t)1 << 55) + 1, found) == (unsigned long)-EIO, "a read of too many sectors");
    check(first_sector(file_size, found) == 0 && qcow1_read(&disk, 0, expected, 512) == 0 &&
              memcmp(found, expected, 512) == 0,
          "the first sector");
    return 0;
}
