/* The interfaces that README.md shows the library in: each of its functions is here word for word, between its marks, with
 * as much of the other project as it touches. The disk must be the same through each.
 *
 *     interfaces IMAGE */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "qcow1.h"

static unsigned char file[1 << 20];
static size_t file_size;
static unsigned char memory[1 << 16];

/* What stands for U-Boot. */
typedef unsigned long lbaint_t;
struct udevice {
    qcow1_disk *disk;
};
#define dev_get_priv(device) ((device)->disk)
#define EIO 5

/* u-boot */
static unsigned long blk_read(struct udevice *dev, lbaint_t start, lbaint_t count, void *buf) {
    int error = qcow1_read(dev_get_priv(dev), (uint64_t)start * 512, buf, (size_t)count * 512);
    return error == 0 ? count : (unsigned long)-EIO;
}
/* end */

/* What stands for kvmtool. */
typedef uint64_t u64;
#define SECTOR_SHIFT 9
struct disk_image {
    void *priv;
};

/* kvmtool */
static ssize_t image_read(struct disk_image *image, u64 sector, const struct iovec *iov, int count, void *param) {
    u64 offset = sector << SECTOR_SHIFT, start = offset;
    (void)param;
    for (; count-- > 0; offset += iov++->iov_len)
        if (iov->iov_len != 0 && qcow1_read(image->priv, offset, iov->iov_base, iov->iov_len) != 0)
            return -1;
    return (ssize_t)(offset - start);
}
/* end */

/* What stands for GRUB. */
typedef int grub_err_t;
typedef uint64_t grub_disk_addr_t;
typedef size_t grub_size_t;
struct grub_disk {
    unsigned log_sector_size;
    void *data;
};
enum { GRUB_ERR_NONE, GRUB_ERR_READ_ERROR };
static grub_err_t grub_error(grub_err_t error, const char *format, const char *message) {
    fprintf(stderr, format, message);
    return error;
}

/* grub */
static grub_err_t disk_read(struct grub_disk *disk, grub_disk_addr_t sector, grub_size_t size, char *buf) {
    unsigned shift = disk->log_sector_size;
    int error = qcow1_read(disk->data, sector << shift, buf, size << shift);
    return error == 0 ? GRUB_ERR_NONE : grub_error(GRUB_ERR_READ_ERROR, "%s", qcow1_message(error));
}
/* end */

/* What stands for Solo5: a device that reads one block at a time. */
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
    static unsigned char memory[32768]; /* lent while the disk is open; 512 bytes do without compression */
    qcow1_device device = {NULL, device_size, 512, driver_read};
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
    qcow1_device device = {file, file_size, 1, read_memory};
    check(qcow1_open(&disk, &device, memory, sizeof memory, 0) == 0, "qcow1_open");

    /* Not a multiple of 512: the last block reaches past the end of the file. */
    static unsigned char more_memory[1 << 16];
    solo5_handle_t handle = 7;
    qcow1_device solo5 = {&handle, file_size, 512, read_solo5};
    check(qcow1_open(&over_solo5, &solo5, more_memory, sizeof more_memory, 0) == 0, "qcow1_open over Solo5");

    struct udevice blk = {&disk};
    struct disk_image kvm = {&disk};
    struct grub_disk grub = {9, &disk};
    uint64_t sectors = qcow1_size(&disk) / 512;
    for (uint64_t sector = 0; sector + 8 <= sectors; sector += 8) {
        struct iovec parts[3] = {{found, 512}, {found + 512, 0}, {found + 512, 3584}};
        check(qcow1_read(&disk, sector * 512, expected, 4096) == 0, "qcow1_read");
        memset(found, 0xcc, sizeof found);
        check(blk_read(&blk, sector, 8, found) == 8 && memcmp(found, expected, 4096) == 0, "U-Boot");
        memset(found, 0xcc, sizeof found);
        check(image_read(&kvm, sector, parts, 3, NULL) == 4096 && memcmp(found, expected, 4096) == 0, "kvmtool");
        memset(found, 0xcc, sizeof found);
        check(disk_read(&grub, sector, 8, (char *)found) == 0 && memcmp(found, expected, 4096) == 0, "GRUB");
        memset(found, 0xcc, sizeof found);
        check(qcow1_read(&over_solo5, sector * 512, found, 4096) == 0 && memcmp(found, expected, 4096) == 0, "Solo5");
    }
    struct iovec past = {found, 512};
    check(blk_read(&blk, sectors, 1, found) == (unsigned long)-EIO, "a read past the end in U-Boot");
    check(image_read(&kvm, sectors, &past, 1, NULL) == -1, "a read past the end in kvmtool");
    check(disk_read(&grub, sectors, 1, (char *)found) == GRUB_ERR_READ_ERROR, "a read past the end in GRUB");
    check(first_sector(file_size, found) == 0 && qcow1_read(&disk, 0, expected, 512) == 0 &&
              memcmp(found, expected, 512) == 0,
          "the first sector");
    return 0;
}
