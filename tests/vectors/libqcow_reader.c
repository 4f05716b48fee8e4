/* Reads QCOW images with libqcow, for peers.py.
 *
 *     libqcow_reader PASSWORD IMAGE[,BACKING...] [OFFSET:LENGTH...]
 *
 * Without ranges, it writes the disk to standard output. With ranges, it opens the image once, reads them in sequence, and writes
 * a line for each: the bytes in hexadecimal digits, or "error". An empty PASSWORD means none. The exit status is 1 if the image
 * could not be opened or read. */

#include <inttypes.h>
#include <libqcow.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t buffer[65536];

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static libqcow_file_t *open_image(const char *name, const char *password) {
    libqcow_file_t *file = NULL;
    libqcow_error_t *error = NULL;
    if (libqcow_file_initialize(&file, &error) != 1)
        fail("initialize");
    if (*password != 0 &&
        libqcow_file_set_utf8_password(file, (const uint8_t *)password, strlen(password), &error) != 1)
        fail("set_utf8_password");
    if (libqcow_file_open(file, name, libqcow_get_access_flags_read(), &error) != 1) {
        libqcow_error_fprint(error, stderr);
        fail("open");
    }
    if (libqcow_file_is_locked(file, &error) != 0)
        fail("locked");
    return file;
}

int main(int argc, char **argv) {
    if (argc < 3)
        fail("usage: libqcow_reader PASSWORD IMAGE[,BACKING...] [OFFSET:LENGTH...]");
    libqcow_error_t *error = NULL;
    libqcow_file_t *top = NULL, *above = NULL;
    for (char *name = strtok(argv[2], ","); name != NULL; name = strtok(NULL, ",")) {
        libqcow_file_t *file = open_image(name, argv[1]);
        if (above == NULL)
            top = file;
        else if (libqcow_file_set_parent_file(above, file, &error) != 1)
            fail("set_parent_file");
        above = file;
    }
    if (argc > 3) {
        for (int i = 3; i < argc; i++) {
            int64_t offset;
            size_t length;
            if (sscanf(argv[i], "%" SCNd64 ":%zu", &offset, &length) != 2 || length > sizeof buffer)
                fail("a range is OFFSET:LENGTH");
            ssize_t count = libqcow_file_read_buffer_at_offset(top, buffer, length, offset, &error);
            if (count != (ssize_t)length) {
                libqcow_error_free(&error);
                puts("error");
                continue;
            }
            for (size_t j = 0; j < length; j++)
                printf("%02x", buffer[j]);
            putchar('\n');
        }
        return 0;
    }
    size64_t size = 0;
    if (libqcow_file_get_media_size(top, &size, &error) != 1)
        fail("get_media_size");
    for (size64_t at = 0; at < size;) {
        size_t length = size - at < sizeof buffer ? (size_t)(size - at) : sizeof buffer;
        ssize_t count = libqcow_file_read_buffer_at_offset(top, buffer, length, (off64_t)at, &error);
        if (count <= 0) {
            libqcow_error_fprint(error, stderr);
            fail("read");
        }
        if (fwrite(buffer, 1, (size_t)count, stdout) != (size_t)count)
            fail("write");
        at += (size64_t)count;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}
