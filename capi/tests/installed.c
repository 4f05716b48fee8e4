/* A program against the installed library, as C and as C++: prints the versions, and the size of
 * the disk in an image with the sum of its bytes.
 *
 *     installed IMAGE */
#include <inttypes.h>
#include <qcow1.h>
#include <stdio.h>

static qcow1_disk disk;
static unsigned char memory[1 << 16];

static int QCOW1_CALL read_file(void *ctx, uint64_t offset, void *buf, size_t len) {
    FILE *file = (FILE *)ctx;
    return fseek(file, (long)offset, SEEK_SET) == 0 && fread(buf, 1, len, file) == len ? 0 : 1;
}

int main(int argc, char **argv) {
    FILE *file = argc == 2 ? fopen(argv[1], "rb") : NULL;
    unsigned char buf[1000];
    uint64_t sum = 0;
    if (file == NULL || fseek(file, 0, SEEK_END) != 0)
        return 2;
    qcow1_device device = {file, (uint64_t)ftell(file), 1, 0, read_file};
    int error = qcow1_open(&disk, &device, memory, sizeof memory, 0);
    for (uint64_t offset = 0, end = qcow1_size(&disk), len; error == 0 && offset < end; offset += len) {
        len = end - offset < sizeof buf ? end - offset : sizeof buf;
        error = qcow1_read(&disk, offset, buf, (size_t)len);
        for (size_t i = 0; i < len; i++)
            sum += buf[i];
    }
    if (error != 0) {
        fprintf(stderr, "%s\n", qcow1_message(error));
        return 1;
    }
    printf("%d.%d.%d %s\n", QCOW1_VERSION_MAJOR, QCOW1_VERSION_MINOR, QCOW1_VERSION_PATCH, qcow1_version());
    printf("%" PRIu64 " %" PRIu64 "\n", qcow1_size(&disk), sum);
    return qcow1_close(&disk);
}
