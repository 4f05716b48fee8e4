/* Reads the disk in a QCOW1 image that lies in memory, on a machine without an operating system or a C library.
 *
 * The driver is a memcpy. Prints the disk's size, its CRC-32, and what it used. */
#include "machine.h"
#include "qcow1.h"

void *memcpy(void *to, const void *from, size_t len);

/* Set to zeros before main: a disk that was not opened is noticed. */
static qcow1_disk disk;

/* Enough for any image whose clusters are 4 KiB, compressed ones included: what qcow1_memory_for() computes. */
static unsigned char memory[24 << 10];

static int read_memory(void *image, uint64_t offset, void *buf, size_t len) {
    memcpy(buf, (const unsigned char *)image + offset, len);
    return 0;
}

static void print_hex(uint64_t number) {
    for (int shift = 60; shift >= 0; shift -= 4)
        print_char("0123456789abcdef"[number >> shift & 15]);
}

static void print(const char *text) {
    while (*text != 0)
        print_char(*text++);
}

/* The next byte of a CRC-32, as in gzip. */
static uint32_t crc32(uint32_t crc, unsigned char byte) {
    crc ^= byte;
    for (int bit = 0; bit < 8; bit++)
        crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    return crc;
}

static int fail(int error) {
    print("failed: ");
    print(qcow1_message(error));
    print("\n");
    return 1;
}

int main(void) {
    /* The memory after the image is zeros, so the length of the image need not be known. */
    qcow1_device device = {IMAGE, IMAGE_SIZE, 1, 0, read_memory};
    unsigned char buf[1000];
    uint32_t crc = 0xffffffff;
    int error = qcow1_open(&disk, &device, memory, sizeof memory, 0);
    if (error != 0)
        return fail(error);
    for (uint64_t offset = 0, end = qcow1_size(&disk), len; offset < end; offset += len) {
        len = end - offset < sizeof buf ? end - offset : sizeof buf;
        error = qcow1_read(&disk, offset, buf, (size_t)len);
        if (error != 0)
            return fail(error);
        for (size_t i = 0; i < len; i++)
            crc = crc32(crc, buf[i]);
    }
    print("size ");
    print_hex(qcow1_size(&disk));
    print(" crc32 ");
    print_hex(crc ^ 0xffffffff);
    print("\n");
    return 0;
}
