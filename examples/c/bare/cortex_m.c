/* QEMU's Cortex-M4 board `mps2-an386`: the first two vectors, and semihosting for the console and the end. */
#include "machine.h"

int main(void);
void run(void);
extern char stack_top[];

__attribute__((section(".vectors"), used)) static void *const vectors[2] = {stack_top, (void *)run};

static void semihosting(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
}

void print_char(char character) {
    semihosting(3, &character);
}

void run(void) {
    /* The reason of the end is 0x20026, ADP_Stopped_ApplicationExit; its code is QEMU's exit status. */
    const uint32_t end[2] = {0x20026, (uint32_t)main()};
    semihosting(0x20, end);
    for (;;) {
    }
}
