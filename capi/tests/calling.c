/* Reads an image from code that is compiled with another calling convention than the library (gcc
 * -mabi=ms), so it calls no C library. Ends with status 0 if the bytes are the same through two
 * devices. */
#include "qcow1.h"

__asm__(".section .rodata\nimage: .incbin \"" IMAGE "\"\nend_of_image:\n.text\n");
extern const unsigned char image[], end_of_image[];

static qcow1_disk disk;
static unsigned char memory[65536], found[2][4096];

static void copy(unsigned char *to, const unsigned char *from, size_t len) {
    while (len-- > 0)
        *to++ = *from++;
}

static int QCOW1_CALL read_image(void *ctx, uint64_t lba, void *buf, size_t len) {
    copy(buf, (const unsigned char *)ctx + lba, len);
    return 0;
}

int main(void) {
    qcow1_device device = {(void *)image, (uint64_t)(end_of_image - image), 1, 0, read_image};
    uint32_t sum[2] = {0, 0};
    if (qcow1_open(&disk, &device, memory, sizeof memory, 0) != 0)
        return 2;
    for (int turn = 0; turn < 2; turn++) {
        if (qcow1_read(&disk, 12345, found[turn], sizeof found[turn]) != 0)
            return 3;
        for (size_t i = 0; i < sizeof found[turn]; i++)
            sum[turn] += found[turn][i] * (uint32_t)(i + 1);
    }
    if (qcow1_size(&disk) != SIZE || sum[0] != sum[1] || sum[0] == 0)
        return 4;
    /* "the read callback failed", "no error", "a pointer is null" */
    if (qcow1_message(5)[0] != 't' || qcow1_message(0)[0] != 'n' || qcow1_message(QCOW1_ERROR_NULL_POINTER)[0] != 'a')
        return 5;
    return qcow1_close(&disk);
}
