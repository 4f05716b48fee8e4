/* What main.c needs of a machine. */
#include <stdint.h>

/* Where QEMU loads the image, and the bytes that are there for it. */
#ifdef __riscv
#define IMAGE ((void *)0x82000000)
#else
#define IMAGE ((void *)0x00200000)
#endif
#define IMAGE_SIZE (1 << 20)

void print_char(char character);
