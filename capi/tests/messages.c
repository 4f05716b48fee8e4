/* Prints the messages of the named errors, of success, of a callback's error, and of a number that
 * is not an error. */
#include <stdio.h>
#include <stdlib.h>

#include "qcow1.h"

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++)
        puts(qcow1_message(atoi(argv[i])));
    puts(qcow1_message(0));
    puts(qcow1_message(5));
    puts(qcow1_message(-1000));
    return 0;
}
