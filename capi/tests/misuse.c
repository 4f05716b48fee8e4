/* Makes each mistake that the library can detect in C, and checks the error. Prints the name of
 * each case that passes.
 *
 *     misuse FOLDER-OF-IMAGES */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qcow1.h"

#define CASE(name)                                                                                                     \
    static void name(void);                                                                                            \
    static struct test name##_test = {#name, name, NULL};                                                              \
    __attribute__((constructor)) static void add_##name(void) { add(&name##_test); }                                   \
    static void name(void)

#define EXPECT(expression, value) expect(__LINE__, #expression, (long long)(expression), (long long)(value))

struct test {
    const char *name;
    void (*run)(void);
    struct test *next;
};

static struct test *tests, **last_test = &tests;

static void add(struct test *test) {
    *last_test = test;
    last_test = &test->next;
}

static void expect(int line, const char *expression, long long found, long long expected) {
    if (found == expected)
        return;
    fprintf(stderr, "misuse.c:%d: %s is %lld (%s), not %lld\n", line, expression, found, qcow1_message((int)found),
            expected);
    exit(1);
}

/* An image that the cases may damage, and the result of its next read. */
static unsigned char file[1 << 20];
static size_t file_size;
static int answer;

static int read_file(void *ctx, uint64_t lba, void *buf, size_t len) {
    (void)ctx;
    if (answer != 0)
        return answer;
    memcpy(buf, file + lba, len);
    return 0;
}

static const char *folder;
static qcow1_disk disk;
static qcow1_device device;
static unsigned char memory[QCOW1_MAX_IMAGES + 1][1 << 16] __attribute__((aligned(16)));
static unsigned char buf[4096];
static qcow1_failure failure;
static qcow1_extent_t extent;
static qcow1_memory_needs needs;
static size_t name_len, needed;

/* Loads an image, which the device then reads. */
static void load(const char *name);

/* Opens the image that was loaded. */
static void open_image(void) {
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), 0);
}

/* Writes a number into the image's header or tables. */
static void put(size_t offset, uint64_t word) {
    for (int i = 0; i < 8; i++)
        file[offset + i] = (unsigned char)(word >> (56 - 8 * i));
}

/* Makes the image name a backing file: four bytes of its own header. */
static void name_backing(void) {
    memcpy(file + 8, "\0\0\0\0\0\0\0\4\0\0\0\4", 12);
}

static int last(void) {
    EXPECT(qcow1_last_failure(&disk, &failure), 0);
    return failure.error;
}

/* Each call that takes a disk but qcow1_open() and qcow1_close(). */
static void each_call(qcow1_disk *bad, int error) {
    EXPECT(qcow1_push(bad, &device, memory[1], sizeof memory[1], 0), error);
    EXPECT(qcow1_set_passphrase(bad, 0, "secret", 6), error);
    EXPECT(qcow1_size(bad), 0);
    EXPECT(qcow1_read(bad, 0, buf, sizeof buf), error);
    EXPECT(qcow1_read_sectors(bad, 0, 1, buf), error);
    EXPECT(qcow1_extent(bad, 0, 1, &extent), error);
    EXPECT(qcow1_backing_name(bad, buf, sizeof buf, &name_len), error);
}

CASE(a_null_disk) {
    EXPECT(qcow1_open(NULL, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_NULL_POINTER);
    EXPECT(qcow1_last_failure(NULL, &failure), QCOW1_ERROR_NULL_POINTER);
    EXPECT(qcow1_close(NULL), QCOW1_ERROR_NULL_POINTER);
    each_call(NULL, QCOW1_ERROR_NULL_POINTER);
}

CASE(a_misaligned_disk) {
    static unsigned char bytes[2 * sizeof(qcow1_disk)];
    unsigned char *aligned = bytes;
    while ((uintptr_t)aligned % QCOW1_DISK_ALIGN != 0)
        aligned++;
    for (size_t by = 1; by < QCOW1_DISK_ALIGN; by++) {
        qcow1_disk *bad = (qcow1_disk *)(void *)(aligned + by);
        EXPECT(qcow1_open(bad, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_MISALIGNED);
        EXPECT(qcow1_last_failure(bad, &failure), QCOW1_ERROR_MISALIGNED);
        EXPECT(qcow1_close(bad), QCOW1_ERROR_MISALIGNED);
        each_call(bad, QCOW1_ERROR_MISALIGNED);
    }
}

CASE(a_disk_that_was_never_opened) {
    EXPECT(qcow1_last_failure(&disk, &failure), QCOW1_ERROR_NOT_OPEN);
    EXPECT(qcow1_close(&disk), QCOW1_ERROR_NOT_OPEN);
    each_call(&disk, QCOW1_ERROR_NOT_OPEN);
}

CASE(a_disk_that_was_closed) {
    open_image();
    EXPECT(qcow1_close(&disk), 0);
    EXPECT(qcow1_close(&disk), QCOW1_ERROR_NOT_OPEN);
    each_call(&disk, QCOW1_ERROR_NOT_OPEN);
    EXPECT(qcow1_last_failure(&disk, &failure), QCOW1_ERROR_NOT_OPEN);
}

/* Counts the bytes that are not zero. */
static size_t count(const unsigned char *bytes, size_t len) {
    size_t found = 0;
    while (len > 0)
        found += bytes[--len] != 0;
    return found;
}

CASE(a_disk_that_was_closed_is_zeros) {
    open_image();
    EXPECT(qcow1_set_passphrase(&disk, 0, "a secret", 8), 0);
    EXPECT(qcow1_close(&disk), 0);
    EXPECT(count(disk.bytes, sizeof disk), 0);
}

CASE(a_disk_that_could_not_be_opened) {
    file[0] = 'X';
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_NOT_QCOW);
    EXPECT(last(), QCOW1_ERROR_NOT_QCOW);
    each_call(&disk, QCOW1_ERROR_NOT_OPEN);
    EXPECT(qcow1_close(&disk), 0);
    EXPECT(count(disk.bytes, sizeof disk), 0);
}

/* Counts the bytes that a passphrase has changed in the disk and that are unchanged since. */
static size_t left_of_key(const qcow1_disk *before, const qcow1_disk *with_key) {
    size_t left = 0;
    for (size_t i = 0; i < sizeof disk; i++)
        left += with_key->bytes[i] != before->bytes[i] && with_key->bytes[i] != 0 && disk.bytes[i] == with_key->bytes[i];
    return left;
}

CASE(a_disk_that_is_opened_again_holds_nothing_of_its_keys) {
    static qcow1_disk before, with_key;
    for (int fails = 0; fails < 2; fails++) {
        file[0] = 'Q';
        open_image();
        memcpy(&before, &disk, sizeof disk);
        EXPECT(qcow1_set_passphrase(&disk, 0, "a 16 byte secret", 16), 0);
        memcpy(&with_key, &disk, sizeof disk);
        EXPECT(left_of_key(&before, &with_key) > 160, 1); /* of a key schedule of 176 bytes */
        if (fails)
            file[0] = 'X';
        EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), fails ? QCOW1_ERROR_NOT_QCOW : 0);
        EXPECT(left_of_key(&before, &with_key), 0);
        EXPECT(qcow1_close(&disk), 0);
        EXPECT(count(disk.bytes, sizeof disk), 0);
    }
}

CASE(storage_that_holds_anything) {
    for (int byte = 0; byte < 256; byte++) {
        /* An old disk's first word at the same address, then without it. */
        open_image();
        memset(disk.bytes + sizeof(void *), byte, sizeof disk - sizeof(void *));
        EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), 0);
        EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
        memset(disk.bytes, byte, sizeof disk);
        EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), 0);
        EXPECT(last(), 0);
        EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
        EXPECT(qcow1_close(&disk), 0);
    }
}

CASE(a_copy_of_an_open_disk) {
    static qcow1_disk copy;
    open_image();
    memcpy(&copy, &disk, sizeof copy);
    each_call(&copy, QCOW1_ERROR_NOT_OPEN);
    EXPECT(qcow1_close(&copy), QCOW1_ERROR_NOT_OPEN);
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
}

CASE(a_disk_opened_again_reads_the_new_image) {
    open_image();
    memcpy(file + 24, "\0\0\0\0\0\0\3\1", 8); /* the disk's size */
    open_image();
    EXPECT(qcow1_size(&disk), 769);
}

CASE(a_null_device) {
    EXPECT(qcow1_open(&disk, NULL, memory[0], sizeof memory[0], 0), QCOW1_ERROR_NULL_POINTER);
}

CASE(a_device_without_a_callback) {
    device.read = NULL;
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_NO_READ_CALLBACK);
}

CASE(a_block_size_out_of_range) {
    const uint32_t sizes[] = {0, 3, 511, 513, 131072, UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        device.block_size = sizes[i];
        EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_BLOCK_SIZE);
        EXPECT(qcow1_memory_for(file, sizes[i], file_size, &needs), QCOW1_ERROR_BLOCK_SIZE);
        EXPECT(qcow1_memory_needed(&device, 0, 0, &needed), QCOW1_ERROR_BLOCK_SIZE);
    }
}

CASE(a_device_larger_than_2_to_the_63) {
    device.size = ((uint64_t)1 << 63) + 1;
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_DEVICE_SIZE);
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], QCOW1_RAW), QCOW1_ERROR_DEVICE_SIZE);
    device.size -= 1;
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), 0);
}

CASE(null_memory) {
    EXPECT(qcow1_open(&disk, &device, NULL, 512, 0), QCOW1_ERROR_NULL_POINTER);
}

CASE(too_little_memory) {
    EXPECT(qcow1_open(&disk, &device, memory[0], 63, 0), QCOW1_ERROR_MEMORY_TOO_SMALL);
    EXPECT(last(), QCOW1_ERROR_MEMORY_TOO_SMALL);
    EXPECT(failure.needed, 64);
    EXPECT(qcow1_open(&disk, &device, memory[0], failure.needed, 0), 0);
}

CASE(memory_of_length_0) {
    EXPECT(qcow1_open(&disk, &device, memory[0], 0, 0), QCOW1_ERROR_MEMORY_TOO_SMALL);
    EXPECT(qcow1_open(&disk, &device, NULL, 0, 0), QCOW1_ERROR_MEMORY_TOO_SMALL);
    /* A raw disk whose blocks are bytes needs none. */
    EXPECT(qcow1_open(&disk, &device, NULL, 0, QCOW1_RAW), 0);
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
    device.block_size = 512;
    EXPECT(qcow1_open(&disk, &device, NULL, 0, QCOW1_RAW), QCOW1_ERROR_MEMORY_TOO_SMALL);
}

CASE(memory_longer_than_the_address_space) {
    EXPECT(qcow1_open(&disk, &device, memory[0], SIZE_MAX, 0), QCOW1_ERROR_TOO_LONG);
    EXPECT(qcow1_open(&disk, &device, memory[0], (size_t)PTRDIFF_MAX + 1, 0), QCOW1_ERROR_TOO_LONG);
}

CASE(memory_that_is_lent_to_another_image) {
    name_backing();
    open_image();
    EXPECT(qcow1_push(&disk, &device, memory[0], 512, QCOW1_RAW), QCOW1_ERROR_OVERLAP);
    EXPECT(qcow1_push(&disk, &device, memory[0] + sizeof memory[0] - 1, 512, QCOW1_RAW), QCOW1_ERROR_OVERLAP);
    EXPECT(qcow1_push(&disk, &device, memory[0] + sizeof memory[0], 512, QCOW1_RAW), 0);
}

CASE(memory_in_the_disk_itself) {
    EXPECT(qcow1_open(&disk, &device, (unsigned char *)&disk + 16, 512, 0), QCOW1_ERROR_OVERLAP);
}

CASE(unknown_flags) {
    const uint32_t flags[] = {8, 1u << 31, QCOW1_RAW | QCOW1_SALVAGE, QCOW1_RAW | QCOW1_OR_RAW};
    name_backing();
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        open_image();
        EXPECT(qcow1_push(&disk, &device, memory[1], sizeof memory[1], flags[i]), QCOW1_ERROR_INVALID_FLAGS);
        EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], flags[i]), QCOW1_ERROR_INVALID_FLAGS);
        EXPECT(qcow1_memory_needed(&device, 0, flags[i], &needed), QCOW1_ERROR_INVALID_FLAGS);
    }
}

CASE(a_raw_disk_only_where_that_is_said) {
    file[0] = 'X';
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_NOT_QCOW);
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], QCOW1_OR_RAW), 0);
    EXPECT(qcow1_size(&disk), file_size);
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], QCOW1_RAW), 0);
    EXPECT(qcow1_size(&disk), file_size);
}

CASE(an_image_below_one_that_names_none) {
    open_image();
    EXPECT(qcow1_push(&disk, &device, memory[1], sizeof memory[1], 0), QCOW1_ERROR_NO_BACKING_NAMED);
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
}

CASE(more_images_than_a_disk_holds) {
    name_backing();
    open_image();
    for (int i = 1; i < QCOW1_MAX_IMAGES; i++)
        EXPECT(qcow1_push(&disk, &device, memory[i], sizeof memory[i], 0), 0);
    EXPECT(qcow1_push(&disk, &device, memory[QCOW1_MAX_IMAGES], 512, QCOW1_RAW), QCOW1_ERROR_CHAIN_FULL);
}

CASE(a_passphrase_for_an_image_that_is_not_there) {
    open_image();
    EXPECT(qcow1_set_passphrase(&disk, 1, "secret", 6), QCOW1_ERROR_NO_SUCH_IMAGE);
    EXPECT(qcow1_set_passphrase(&disk, UINT32_MAX, "secret", 6), QCOW1_ERROR_NO_SUCH_IMAGE);
    EXPECT(qcow1_set_passphrase(&disk, 0, "secret", 6), 0);
}

CASE(a_passphrase_that_is_null_or_endless) {
    open_image();
    EXPECT(qcow1_set_passphrase(&disk, 0, NULL, 6), QCOW1_ERROR_NULL_POINTER);
    EXPECT(qcow1_set_passphrase(&disk, 0, "secret", SIZE_MAX), QCOW1_ERROR_TOO_LONG);
}

CASE(a_read_into_null) {
    open_image();
    EXPECT(qcow1_read(&disk, 0, NULL, 512), QCOW1_ERROR_NULL_POINTER);
}

CASE(a_length_of_0_is_none_of_them) {
    open_image();
    uint64_t size = qcow1_size(&disk);
    EXPECT(qcow1_read(&disk, 0, buf, 0), 0);
    EXPECT(qcow1_read(&disk, size, NULL, 0), 0);
    EXPECT(qcow1_read(&disk, 0, memory[0] + 1, 0), 0);
    EXPECT(qcow1_read(&disk, size + 1, NULL, 0), QCOW1_ERROR_OUT_OF_RANGE);
    EXPECT(qcow1_set_passphrase(&disk, 0, NULL, 0), 0);
    EXPECT(qcow1_backing_name(&disk, NULL, 0, &name_len), 0);
    EXPECT(name_len, 0);
}

CASE(a_read_longer_than_the_address_space) {
    open_image();
    EXPECT(qcow1_read(&disk, 0, buf, SIZE_MAX), QCOW1_ERROR_TOO_LONG);
    EXPECT(qcow1_read_sectors(&disk, 0, SIZE_MAX, buf), QCOW1_ERROR_TOO_LONG);
    EXPECT(qcow1_read_sectors(&disk, 0, SIZE_MAX / 512 + 2, buf), QCOW1_ERROR_TOO_LONG);
}

CASE(a_read_into_what_the_disk_uses) {
    open_image();
    EXPECT(qcow1_read(&disk, 0, memory[0], 512), QCOW1_ERROR_OVERLAP);
    EXPECT(qcow1_read_sectors(&disk, 0, 1, memory[0] + sizeof memory[0] - 1), QCOW1_ERROR_OVERLAP);
    EXPECT(qcow1_read(&disk, 0, &disk, 512), QCOW1_ERROR_OVERLAP);
    EXPECT(qcow1_backing_name(&disk, memory[0], 512, &name_len), QCOW1_ERROR_OVERLAP);
}

CASE(an_argument_in_what_the_disk_uses) {
    void *const used[] = {&disk, (unsigned char *)&disk + 256, memory[0], memory[0] + sizeof memory[0] - 64};
    name_backing();
    for (size_t i = 0; i < sizeof used / sizeof *used; i++) {
        open_image();
        EXPECT(qcow1_push(&disk, used[i], memory[1], sizeof memory[1], 0), QCOW1_ERROR_OVERLAP);
        EXPECT(qcow1_set_passphrase(&disk, 0, used[i], 6), QCOW1_ERROR_OVERLAP);
        EXPECT(qcow1_extent(&disk, 0, 1, used[i]), QCOW1_ERROR_OVERLAP);
        EXPECT(qcow1_backing_name(&disk, buf, sizeof buf, used[i]), QCOW1_ERROR_OVERLAP);
        EXPECT(qcow1_last_failure(&disk, used[i]), QCOW1_ERROR_OVERLAP);
        EXPECT(last(), QCOW1_ERROR_OVERLAP);
        EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
    }
    memcpy(&disk, &device, sizeof device);
    EXPECT(qcow1_open(&disk, (qcow1_device *)(void *)&disk, memory[0], sizeof memory[0], 0), QCOW1_ERROR_OVERLAP);
}

CASE(a_device_in_the_memory_that_is_lent) {
    memcpy(memory[0], &device, sizeof device);
    EXPECT(qcow1_open(&disk, (qcow1_device *)(void *)memory[0], memory[0], sizeof memory[0], 0), 0);
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
}

CASE(a_read_past_the_end) {
    open_image();
    uint64_t size = qcow1_size(&disk);
    EXPECT(qcow1_read(&disk, size, buf, 1), QCOW1_ERROR_OUT_OF_RANGE);
    EXPECT(qcow1_read(&disk, size - 1, buf, 2), QCOW1_ERROR_OUT_OF_RANGE);
    EXPECT(qcow1_read(&disk, UINT64_MAX, buf, 2), QCOW1_ERROR_OUT_OF_RANGE);
    EXPECT(qcow1_read(&disk, size - 1, buf, 1), 0);
}

CASE(sectors_past_the_end) {
    /* Of 769 bytes, the second sector has 257; the rest of it is zeros. */
    put(24, 769);
    open_image();
    EXPECT(qcow1_read(&disk, 0, buf, 769), 0);
    static unsigned char sectors[1024 + 1];
    memset(sectors, 0xee, sizeof sectors);
    EXPECT(qcow1_read_sectors(&disk, 0, 2, sectors), 0);
    EXPECT(memcmp(sectors, buf, 769), 0);
    EXPECT(count(sectors + 769, 1024 - 769), 0);
    EXPECT(sectors[1024], 0xee);
    EXPECT(qcow1_read_sectors(&disk, 2, 0, NULL), 0);
    EXPECT(qcow1_read_sectors(&disk, 2, 1, sectors), QCOW1_ERROR_OUT_OF_RANGE);
    EXPECT(qcow1_read_sectors(&disk, 1, 2, sectors), QCOW1_ERROR_OUT_OF_RANGE);
    EXPECT(qcow1_read_sectors(&disk, 0, 3, sectors), QCOW1_ERROR_OUT_OF_RANGE);
    /* Each of these is sector 0 or 1 if a product with 512 wraps. */
    for (int bit = 55; bit < 64; bit++) {
        EXPECT(qcow1_read_sectors(&disk, (uint64_t)1 << bit, 1, sectors), QCOW1_ERROR_OUT_OF_RANGE);
        EXPECT(qcow1_read_sectors(&disk, ((uint64_t)1 << bit) + 1, 1, sectors), QCOW1_ERROR_OUT_OF_RANGE);
    }
    EXPECT(qcow1_read_sectors(&disk, UINT64_MAX, 1, sectors), QCOW1_ERROR_OUT_OF_RANGE);
    EXPECT(qcow1_read_sectors(&disk, UINT64_MAX, 2, sectors), QCOW1_ERROR_OUT_OF_RANGE);
}

CASE(an_extent_of_no_bytes_past_the_end_or_into_null) {
    open_image();
    EXPECT(qcow1_extent(&disk, 0, 0, &extent), QCOW1_ERROR_OUT_OF_RANGE);
    EXPECT(qcow1_extent(&disk, qcow1_size(&disk), 1, &extent), QCOW1_ERROR_OUT_OF_RANGE);
    EXPECT(qcow1_extent(&disk, 0, 1, NULL), QCOW1_ERROR_NULL_POINTER);
    EXPECT(qcow1_extent(&disk, 0, 1, (qcow1_extent_t *)(void *)(buf + (1 - (uintptr_t)buf % 2))),
           QCOW1_ERROR_MISALIGNED);
    EXPECT(qcow1_extent(&disk, 0, 1, &extent), 0);
    EXPECT(extent.len, 1);
}

CASE(a_name_into_null_or_too_little) {
    name_backing();
    open_image();
    EXPECT(qcow1_backing_name(&disk, NULL, 4, &name_len), QCOW1_ERROR_NULL_POINTER);
    EXPECT(qcow1_backing_name(&disk, buf, 4, NULL), QCOW1_ERROR_NULL_POINTER);
    EXPECT(qcow1_backing_name(&disk, NULL, 0, &name_len), QCOW1_ERROR_MEMORY_TOO_SMALL);
    EXPECT(last(), QCOW1_ERROR_MEMORY_TOO_SMALL);
    EXPECT(failure.needed, 4);
    EXPECT(qcow1_backing_name(&disk, buf, 3, &name_len), QCOW1_ERROR_MEMORY_TOO_SMALL);
    EXPECT(last(), QCOW1_ERROR_MEMORY_TOO_SMALL);
    EXPECT(failure.needed, 4);
    EXPECT(qcow1_backing_name(&disk, buf, 4, &name_len), 0);
    EXPECT(name_len, 4);
    EXPECT(memcmp(buf, file + 4, 4), 0);
}

CASE(a_name_that_contains_nuls) {
    name_backing();
    memcpy(file + 8, "\0\0\0\0\0\0\0\2", 8); /* the last two bytes of the magic number, and two NULs of the version */
    open_image();
    EXPECT(qcow1_backing_name(&disk, buf, sizeof buf, &name_len), 0);
    EXPECT(name_len, 4);
    EXPECT(memcmp(buf, "I\xfb\0\0", 4), 0);
}

CASE(a_name_over_its_own_length) {
    size_t both[2];
    name_backing();
    open_image();
    EXPECT(qcow1_backing_name(&disk, both, sizeof both, &both[1]), QCOW1_ERROR_OVERLAP);
    EXPECT(qcow1_backing_name(&disk, both, sizeof both[0], &both[1]), 0);
    EXPECT(both[1], 4);
}

CASE(memory_for_null) {
    EXPECT(qcow1_memory_for(NULL, 1, file_size, &needs), QCOW1_ERROR_NULL_POINTER);
    EXPECT(qcow1_memory_for(file, 1, file_size, NULL), QCOW1_ERROR_NULL_POINTER);
    EXPECT(qcow1_memory_for(file, 1, file_size, &needs), 0);
    EXPECT(needs.minimum, 64);
    EXPECT(needs.minimum < needs.compressed, 1);
    EXPECT(needs.compressed < needs.compressed_fast, 1);
    EXPECT(needs.compressed_fast < needs.all_tables, 1);
}

CASE(the_memory_needed_for_null) {
    EXPECT(qcow1_memory_needed(NULL, 0, 0, &needed), QCOW1_ERROR_NULL_POINTER);
    EXPECT(qcow1_memory_needed(&device, 0, 0, NULL), QCOW1_ERROR_NULL_POINTER);
    device.read = NULL;
    EXPECT(qcow1_memory_needed(&device, 0, 0, &needed), QCOW1_ERROR_NO_READ_CALLBACK);
}

CASE(the_memory_needed_is_enough_and_within_its_bounds) {
    EXPECT(qcow1_memory_for(file, 1, file_size, &needs), 0);
    EXPECT(qcow1_memory_needed(&device, 0, 0, &needed), 0);
    EXPECT(needed, needs.compressed_fast);
    EXPECT(qcow1_memory_needed(&device, 100, 0, &needed), 0);
    EXPECT(needed, needs.compressed_fast + 100);
    EXPECT(qcow1_memory_needed(&device, SIZE_MAX, 0, &needed), 0);
    EXPECT(needed, needs.all_tables);
    /* Blocks that are larger than what it reads. */
    device.block_size = 4096;
    answer = 5;
    EXPECT(qcow1_memory_needed(&device, 0, 0, &needed), 0);
    EXPECT(needed >= needs.compressed_fast, 1);
    device.block_size = 1;
    EXPECT(qcow1_memory_needed(&device, 0, 0, &needed), 5);
    /* A raw disk is not read. */
    EXPECT(qcow1_memory_needed(&device, SIZE_MAX, QCOW1_RAW, &needed), 0);
    EXPECT(needed, 1);
    answer = 0;
    EXPECT(qcow1_open(&disk, &device, memory[0], needed, QCOW1_RAW), 0);
    EXPECT(qcow1_memory_needed(&device, 0, 0, &needed), 0);
    EXPECT(qcow1_open(&disk, &device, memory[0], needed, 0), 0);
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
    device.block_size = 512;
    EXPECT(qcow1_memory_needed(&device, SIZE_MAX, QCOW1_RAW, &needed), 0);
    EXPECT(needed, 512);
}

CASE(the_memory_needed_for_what_is_no_image) {
    file[0] = 'X';
    EXPECT(qcow1_memory_needed(&device, 0, 0, &needed), QCOW1_ERROR_NOT_QCOW);
    EXPECT(qcow1_memory_needed(&device, 0, QCOW1_OR_RAW, &needed), 0);
    EXPECT(qcow1_open(&disk, &device, memory[0], needed, QCOW1_OR_RAW), 0);
    file[0] = 'Q';
    device.size = 47;
    EXPECT(qcow1_memory_needed(&device, 0, 0, &needed), QCOW1_ERROR_CORRUPT_HEADER);
    device.size = 0;
    EXPECT(qcow1_memory_needed(&device, 0, 0, &needed), QCOW1_ERROR_EMPTY);
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_EMPTY);
}

CASE(the_last_failure_into_null) {
    open_image();
    EXPECT(qcow1_last_failure(&disk, NULL), QCOW1_ERROR_NULL_POINTER);
    EXPECT(last(), 0);
}

CASE(a_positive_error_of_the_callback_comes_back) {
    answer = 5;
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), 5);
    EXPECT(last(), 5);
    answer = 0;
    open_image();
    answer = INT32_MAX;
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), INT32_MAX);
    EXPECT(last(), INT32_MAX);
    answer = 0;
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
}

CASE(a_negative_error_of_the_callback_is_not_taken_for_ours) {
    open_image();
    answer = -5;
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), QCOW1_ERROR_NEGATIVE_FROM_CALLBACK);
    answer = INT32_MIN;
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), QCOW1_ERROR_NEGATIVE_FROM_CALLBACK);
}

static int read_within(void *ctx, uint64_t lba, void *dst, size_t len) {
    each_call(&disk, QCOW1_ERROR_BUSY);
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_BUSY);
    EXPECT(qcow1_close(&disk), QCOW1_ERROR_BUSY);
    EXPECT(qcow1_last_failure(&disk, &failure), QCOW1_ERROR_BUSY);
    return ctx != NULL ? 7 : read_file(ctx, lba, dst, len);
}

CASE(a_call_from_the_read_callback) {
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), 0);
    device.read = read_within;
    device.ctx = &device;
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), 7);
    EXPECT(last(), 7);
    /* QCOW1_ERROR_BUSY is not an error of the call that is under way. */
    device.ctx = NULL;
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), 0);
    EXPECT(qcow1_read(&disk, 0, buf, sizeof buf), 0);
    EXPECT(last(), 0);
}

CASE(a_corrupt_image_names_the_place) {
    memset(file + 40, 0x7f, 8); /* the L1 table's offset */
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_CORRUPT_L1_TABLE);
    EXPECT(last(), QCOW1_ERROR_CORRUPT_L1_TABLE);
    EXPECT(failure.host_offset, 0x7f7f7f7f7f7f7f7f);
    EXPECT(failure.guest_offset, QCOW1_UNKNOWN);
}

CASE(a_hole_without_its_backing_file_names_the_place) {
    name_backing();
    put(40, 65536); /* an L1 table of zeros: the image is holes alone */
    memset(file + 65536, 0, 65536);
    device.size = sizeof file;
    open_image();
    EXPECT(qcow1_read(&disk, 12345, buf, 1000), QCOW1_ERROR_BACKING_REQUIRED);
    EXPECT(last(), QCOW1_ERROR_BACKING_REQUIRED);
    EXPECT(failure.guest_offset, 12345);
    EXPECT(failure.host_offset, QCOW1_UNKNOWN);
}

CASE(an_encrypted_cluster_without_a_passphrase_names_the_place) {
    file[39] = 1; /* AES */
    open_image();
    EXPECT(qcow1_extent(&disk, 0, UINT64_MAX, &extent), 0);
    while (extent.kind != QCOW1_EXTENT_KIND_DATA)
        EXPECT(qcow1_extent(&disk, extent.start + extent.len, UINT64_MAX, &extent), 0);
    EXPECT(qcow1_read(&disk, extent.start + 5, buf, 1), QCOW1_ERROR_KEY_REQUIRED);
    EXPECT(last(), QCOW1_ERROR_KEY_REQUIRED);
    EXPECT(failure.guest_offset, extent.start + 5);
}

CASE(an_unsupported_version_or_encryption_is_named) {
    for (unsigned char version = 2; version < 5; version++) {
        file[7] = version;
        EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_UNSUPPORTED_VERSION);
        EXPECT(last(), QCOW1_ERROR_UNSUPPORTED_VERSION);
        EXPECT(failure.unsupported, version);
    }
    file[7] = 1;
    memcpy(file + 36, "\xfe\xdc\xba\x98", 4);
    EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), QCOW1_ERROR_UNSUPPORTED_ENCRYPTION);
    EXPECT(last(), QCOW1_ERROR_UNSUPPORTED_ENCRYPTION);
    EXPECT(failure.unsupported, 0xfedcba98);
    memset(file + 36, 0, 4);
    open_image();
    EXPECT(last(), 0);
    EXPECT(failure.unsupported, 0);
}

/* Counts the table words for an extent from byte 0 of the guest's disk: L1 words of holes, then
 * tables of 64 clusters of 512 bytes. */
static uint64_t words_answered_for(uint64_t holes) {
    EXPECT(qcow1_extent(&disk, 0, UINT64_MAX, &extent), 0);
    EXPECT(extent.start, 0);
    uint64_t spans = extent.len / 32768, clusters = extent.len % 32768 / 512;
    uint64_t tables = spans > holes ? spans - holes : 0;
    return spans + 64 * tables + (clusters != 0 ? 1 + clusters : 0);
}

CASE(an_extent_looks_at_no_more_than_4099_words_of_each_image) {
    /* All of the disk is one hole, so only the bound ends the run. */
    uint64_t most = 0;
    file_size = device.size = sizeof file;
    memset(file + 48, 0, sizeof file - 48);
    put(24, (uint64_t)8192 << 15);
    file[32] = 9, file[33] = 6;
    put(40, 4096);
    for (size_t holes = 4030; holes < 4100; holes++) {
        for (size_t i = 0; i < 8192; i++)
            put(4096 + 8 * i, i < holes ? 0 : 131072);
        open_image();
        uint64_t words = words_answered_for(holes);
        most = words > most ? words : most;
        EXPECT(words >= 4096 && words <= 4099, 1);
    }
    EXPECT(most > 4096, 1);
}

/* The longest request, and how many bytes were read in all. */
static size_t longest, bytes_read;

static int read_at_most(void *ctx, uint64_t lba, void *dst, size_t len) {
    const qcow1_device *limited = ctx;
    EXPECT(len != 0 && len % limited->block_size == 0, 1);
    longest = len > longest ? len : longest;
    bytes_read += len;
    return read_file(NULL, lba * limited->block_size, dst, len);
}

CASE(no_request_is_longer_than_max_transfer) {
    static unsigned char all[2][sizeof file];
    const char *const images[] = {"plain.qcow", "compressed.qcow", "odd.qcow"};
    for (size_t image = 0; image < 3; image++) {
        load(images[image]);
        EXPECT(qcow1_open(&disk, &device, memory[0], sizeof memory[0], 0), 0);
        size_t size = (size_t)qcow1_size(&disk);
        EXPECT(size < sizeof file, 1);
        EXPECT(qcow1_read(&disk, 0, all[0], size), 0);
        for (uint32_t block_size = 1; block_size <= 4096; block_size *= 512) {
            const uint32_t limits[] = {1, 511, 512, 513, 1000, 4096, 65024, UINT32_MAX, 0};
            for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
                qcow1_device limited = {&limited, file_size, block_size, limits[i], read_at_most};
                size_t whole_blocks = limits[i] / block_size * block_size;
                size_t most = limits[i] == 0 ? SIZE_MAX : whole_blocks < block_size ? block_size : whole_blocks;
                /* A byte at a time is slow. */
                if (most == 1)
                    continue;
                longest = 0;
                EXPECT(qcow1_memory_needed(&limited, 0, 0, &needed), 0);
                EXPECT(qcow1_open(&disk, &limited, memory[0], sizeof memory[0], 0), 0);
                EXPECT(qcow1_read(&disk, 0, all[1], size), 0);
                EXPECT(memcmp(all[0], all[1], size), 0);
                EXPECT(longest <= most, 1);
                EXPECT(longest > 4096 || most <= 4096 || image != 0, 1);
            }
        }
    }
}

static void load(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *image = fopen(path, "rb");
    if (image == NULL) {
        perror(path);
        exit(1);
    }
    file_size = fread(file, 1, sizeof file, image);
    fclose(image);
    device = (qcow1_device){NULL, file_size, 1, 0, read_file};
}

static void prepare(void) {
    answer = 0;
    memset(&disk, 0, sizeof disk);
    load("plain.qcow");
}

int main(int argc, char **argv) {
    if (argc != 2)
        return 2;
    folder = argv[1];
    for (struct test *test = tests; test != NULL; test = test->next) {
        prepare();
        test->run();
        puts(test->name);
    }
    return 0;
}
