/* Reads parts of the disk in a QCOW1 image, which is opened once. The arguments say how.
 *
 *     reader BLOCK-SIZE MAX-TRANSFER SALVAGE MEMORY PASSPHRASE IMAGE
 *         [qcow:BACKING | raw:BACKING]... -- [OFFSET:LENGTH]...
 *
 * Prints the disk's size, then for each part its bytes in hexadecimal digits, or the error's
 * number. MEMORY is added to the memory that each image needs. Each buffer ends at bytes that a
 * sanitizer protects. */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "qcow1.h"

struct file {
    unsigned char *bytes;
    size_t size, block_size;
};

static struct file files[QCOW1_MAX_IMAGES];
static qcow1_disk disk;
static uint32_t max_transfer;

/* Allocates bytes right before a page that cannot be touched. */
static unsigned char *allocate(size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (size + page - 1) / page * page;
    unsigned char *pages = mmap(NULL, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || mprotect(pages + whole, page, PROT_NONE) != 0) {
        perror("mmap");
        exit(3);
    }
    memset(pages, 0xdd, whole);
    return pages + whole - size;
}

/* The bytes past the file in its last block are not zeros: the library must ignore them. */
static int read_file(void *ctx, uint64_t lba, void *buf, size_t len) {
    const struct file *file = ctx;
    uint64_t end = (file->size + file->block_size - 1) / file->block_size * file->block_size;
    uint64_t offset = lba * file->block_size;
    if (len == 0 || len % file->block_size != 0 || offset > end || len > end - offset ||
        (max_transfer != 0 && len > max_transfer))
        abort();
    memset(buf, 0xee, len);
    if (offset < file->size)
        memcpy(buf, file->bytes + offset, file->size - offset < len ? file->size - offset : len);
    return 0;
}

static int add(unsigned level, const char *name, size_t block_size, uint32_t flags, size_t extra, const char *key) {
    FILE *input = fopen(name, "rb");
    if (input == NULL || fseek(input, 0, SEEK_END) != 0) {
        perror(name);
        exit(3);
    }
    struct file *file = &files[level];
    file->size = (size_t)ftell(input), file->block_size = block_size, file->bytes = allocate(file->size);
    rewind(input);
    if (fread(file->bytes, 1, file->size, input) != file->size)
        exit(3);
    fclose(input);

    qcow1_memory_needs needs = {512, block_size > 512 ? block_size : 512, 0, 0};
    if (flags != QCOW1_RAW && file->size >= 48)
        qcow1_memory_for(file->bytes, (uint32_t)block_size, file->size, &needs);
    size_t size = needs.compressed + extra;
    qcow1_device device = {file, file->size, (uint32_t)block_size, max_transfer, read_file};
    int error = (level == 0 ? qcow1_open : qcow1_push)(&disk, &device, allocate(size), size, flags);
    if (error == 0 && *key != 0)
        error = qcow1_set_passphrase(&disk, level, key, strlen(key));
    return error;
}

int main(int argc, char **argv) {
    if (argc < 7)
        return 2;
    size_t block_size = strtoul(argv[1], NULL, 10), extra = strtoul(argv[4], NULL, 10);
    max_transfer = (uint32_t)strtoul(argv[2], NULL, 10);
    uint32_t flags = strcmp(argv[3], "1") == 0 ? QCOW1_SALVAGE : 0;
    char **name = argv + 6;
    int error = 0;
    for (unsigned level = 0; error == 0 && *name != NULL && strcmp(*name, "--") != 0; level++, name++) {
        int is_raw = strncmp(*name, "raw:", 4) == 0, prefix = level == 0 ? 0 : is_raw ? 4 : 5;
        error = add(level, *name + prefix, block_size, is_raw ? QCOW1_RAW : flags, extra, argv[5]);
    }
    if (error != 0) {
        printf("%d\n", error);
        return 0;
    }
    printf("%" PRIu64 "\n", qcow1_size(&disk));
    while (*++name != NULL) {
        uint64_t offset = strtoull(*name, NULL, 10);
        size_t len = strtoul(strchr(*name, ':') + 1, NULL, 10);
        unsigned char *dst = allocate(len);
        error = qcow1_read(&disk, offset, dst, len);
        if (error != 0) {
            printf("%d\n", error);
            continue;
        }
        for (size_t i = 0; i < len; i++)
            printf("%02x", dst[i]);
        putchar('\n');
    }
    return qcow1_close(&disk);
}
