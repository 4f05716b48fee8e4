/* Writes the disk inside a QCOW1 image to standard output.
 *
 *     cat [-p PASSPHRASE] IMAGE [qcow:BACKING | raw:BACKING]...
 *
 * Backing files are given top first, and their format is declared. The passphrase applies to each encrypted image. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qcow1.h"

static qcow1_disk disk;
static unsigned char memory[QCOW1_MAX_IMAGES][1 << 20];

/* A file is a device with blocks of 1 byte. A positive error comes back from the call that needed the bytes. */
static int read_file(void *file, uint64_t offset, void *buf, size_t len) {
    while (len > 0) {
        ssize_t count = pread((int)(intptr_t)file, buf, len, (off_t)offset);
        if (count <= 0)
            return count == 0 ? EIO : errno;
        buf = (char *)buf + count, offset += (uint64_t)count, len -= (size_t)count;
    }
    return 0;
}

static void check(const char *name, int error) {
    if (error == 0)
        return;
    fprintf(stderr, "%s: %s\n", name, error > 0 ? strerror(error) : qcow1_message(error));
    exit(1);
}

static void add(unsigned level, const char *name, uint32_t flags, const char *passphrase) {
    int file = open(name, O_RDONLY);
    off_t size = file < 0 ? -1 : lseek(file, 0, SEEK_END);
    check(name, size < 0 ? errno : 0);
    check(name, level < QCOW1_MAX_IMAGES ? 0 : QCOW1_ERROR_CHAIN_FULL);
    qcow1_device device = {(void *)(intptr_t)file, (uint64_t)size, 1, 0, read_file};
    check(name, (level == 0 ? qcow1_open : qcow1_push)(&disk, &device, memory[level], sizeof memory[level], flags));
    if (passphrase != NULL)
        check(name, qcow1_set_passphrase(&disk, level, passphrase, strlen(passphrase)));
}

static int usage(void) {
    fputs("usage: cat [-p PASSPHRASE] IMAGE [qcow:BACKING | raw:BACKING]...\n", stderr);
    return 2;
}

int main(int argc, char **argv) {
    static char buf[65536];
    const char *passphrase = argc > 2 && strcmp(argv[1], "-p") == 0 ? argv[2] : NULL;
    char **names = argv + (passphrase != NULL ? 3 : 1), *top;
    if (argc < 2 || (top = names[0]) == NULL || strcmp(top, "-p") == 0)
        return usage();
    for (char **backing = names + 1; *backing != NULL; backing++)
        if (strncmp(*backing, "qcow:", 5) != 0 && strncmp(*backing, "raw:", 4) != 0)
            return usage();
    add(0, top, 0, passphrase);
    for (unsigned level = 1; names[level] != NULL; level++) {
        int is_raw = strncmp(names[level], "raw:", 4) == 0;
        add(level, names[level] + (is_raw ? 4 : 5), is_raw ? QCOW1_RAW : 0, passphrase);
    }
    for (uint64_t offset = 0, end = qcow1_size(&disk), len; offset < end; offset += len) {
        len = end - offset < sizeof buf ? end - offset : sizeof buf;
        check(top, qcow1_read(&disk, offset, buf, (size_t)len));
        check("standard output", fwrite(buf, 1, (size_t)len, stdout) == len ? 0 : errno);
    }
    check("standard output", fflush(stdout) == 0 ? 0 : errno);
    return qcow1_close(&disk) != 0;
}
