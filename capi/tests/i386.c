/* The entry point and the memory functions that tests/calling.c needs on 32-bit Linux without a C
 * library. They have the library's calling convention. */
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
