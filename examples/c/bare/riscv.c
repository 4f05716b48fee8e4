/* QEMU's RISC-V machine `virt`: the first instruction, a serial port, and a device that ends the machine. */
#include "machine.h"

int main(void);
void run(void);

__asm__(".section .text.start, \"ax\"\n"
        ".global start\n"
        "start:\n"
        "    la sp, stack_top\n"
        /* The floating-point unit, which the compiler may use. */
        "    li t0, 0x2000\n"
        "    csrs mstatus, t0\n"
        "    tail run\n");

void print_char(char character) {
    *(volatile unsigned char *)0x10000000 = (unsigned char)character;
}

void run(void) {
    *(volatile uint32_t *)0x100000 = main() == 0 ? 0x5555 : 0x13333;
    for (;;) {
    }
}
