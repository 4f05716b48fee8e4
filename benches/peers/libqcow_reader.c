/* libqcow's side of each comparison: `read FILE`, `dump FILE`, or `random FILE COUNT WARM_UP SEED`.
 *
 * It does what the program in main.rs does, with a buffer aligned like the one there, and prints the seconds as JSON.
 * A password in $PASSWORD unlocks the image.
 */
#include <libqcow.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PAGE = 4096, MIB = 1 << 20 };

static libqcow_error_t *error;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    libqcow_error_backtrace_fprint(error, stderr);
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static libqcow_file_t *open_file(const char *path) {
    libqcow_file_t *file = NULL;
    if (libqcow_file_initialize(&file, &error) != 1) {
        fail("initialize");
    }
    const char *password = getenv("PASSWORD");
    if (password) {
        uint8_t key[16] = {0};
        memcpy(key, password, strnlen(password, sizeof key));
        if (libqcow_file_set_keys(file, key, sizeof key, &error) != 1) {
            fail("set keys");
        }
    }
    if (libqcow_file_open(file, path, LIBQCOW_OPEN_READ, &error) != 1) {
        fail("open");
    }
    return file;
}

static uint64_t size_of(libqcow_file_t *file) {
    size64_t size = 0;
    if (libqcow_file_get_media_size(file, &size, &error) != 1) {
        fail("size");
    }
    return size;
}

/* One call may give less than was asked for. */
static void read_at(libqcow_file_t *file, uint64_t offset, uint8_t *buf, size_t len) {
    while (len > 0) {
        ssize_t count = libqcow_file_read_buffer_at_offset(file, buf, len, (off64_t) offset, &error);
        if (count <= 0) {
            fail("read");
        }
        buf += count;
        offset += (uint64_t) count;
        len -= (size_t) count;
    }
}

/* xorshift64*, scaled down below `end`: the generator of tests/common/random.rs. */
static uint64_t below(uint64_t *state, uint64_t end) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (uint64_t) (((unsigned __int128) (*state * 0x2545f4914f6cdd1dULL) * end) >> 64);
}

static void read_all(const char *path, uint8_t *buf, int dump) {
    double start = now();
    libqcow_file_t *file = open_file(path);
    uint64_t size = size_of(file);
    for (uint64_t offset = 0; offset < size; offset += MIB) {
        size_t len = size - offset < MIB ? (size_t) (size - offset) : MIB;
        read_at(file, offset, buf, len);
        if (dump && fwrite(buf, 1, len, stdout) != len) {
            fail("write");
        }
    }
    if (!dump) {
        printf("{\"seconds\": %.9f}\n", now() - start);
    }
}

static void read_at_random(const char *path, uint8_t *buf, uint64_t count, uint64_t warm_up, uint64_t seed) {
    libqcow_file_t *file = open_file(path);
    uint64_t blocks = size_of(file) / PAGE;
    uint64_t check = 0;
    double start = now();
    for (uint64_t i = 0; i < warm_up + count; i++) {
        if (i == warm_up) {
            start = now();
        }
        read_at(file, below(&seed, blocks) * PAGE, buf, PAGE);
        uint64_t word;
        memcpy(&word, buf, sizeof word);
        check += word;
    }
    printf("{\"seconds\": %.9f, \"check\": %llu}\n", now() - start, (unsigned long long) check);
}

int main(int argc, char **argv) {
    void *buf = NULL;
    if (posix_memalign(&buf, PAGE, MIB) != 0) {
        return 1;
    }
    memset(buf, 1, MIB);
    if (argc == 3 && strcmp(argv[1], "read") == 0) {
        read_all(argv[2], buf, 0);
    } else if (argc == 3 && strcmp(argv[1], "dump") == 0) {
        read_all(argv[2], buf, 1);
    } else if (argc == 6 && strcmp(argv[1], "random") == 0) {
        uint64_t numbers[3];
        for (int i = 0; i < 3; i++) {
            numbers[i] = strtoull(argv[3 + i], NULL, 10);
        }
        read_at_random(argv[2], buf, numbers[0], numbers[1], numbers[2]);
    } else {
        fprintf(stderr, "read FILE, dump FILE, or random FILE COUNT WARM_UP SEED\n");
        return 2;
    }
    return 0;
}
