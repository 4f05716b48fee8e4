/* What tests/calling.c needs to run on Linux's own 32-bit interface, without a C library: the first instruction, and the functions
 * that a library for a target file leaves to the program. They have the library's calling convention. */
#include "qcow1.h"

int main(void);
void *QCOW1_CALL memcpy(void *to, const void *from, size_t len);
void *QCOW1_CALL memmove(void *to, const void *from, size_t len);
void *QCOW1_CALL memset(void *to, int byte, size_t len);
void start(void);

void *QCOW1_CALL memmove(void *to, const void *from, size_t len) {
    unsigned char *bytes = to;
    const unsigned char *source = from;
    if (bytes <= source)
        while (len-- > 0)
            *bytes++ = *source++;
    else
        while (len-- > 0)
            bytes[len] = source[len];
    return to;
}

void *QCOW1_CALL memcpy(void *to, const void *from, size_t len) {
    return memmove(to, from, len);
}

void *QCOW1_CALL memset(void *to, int byte, size_t len) {
    unsigned char *bytes = to;
    while (len-- > 0)
        *bytes++ = (unsigned char)byte;
    return to;
}

void start(void) {
    int status = main();
    __asm__ volatile("int $0x80" : : "a"(1), "b"(status));
    for (;;) {
    }
}
