/* Pushes the raw float rows of standard input into an export with the name `net` and writes, after each row that
 * gives logits, the number of the row and the logits as real numbers. The argument is the hop. A row that is not
 * finite is written as -1. */
#include <stdio.h>
#include <stdlib.h>

#include "net.h"

int main(int argc, char **argv)
{
    static net_stream stream;
    float raw[NET_FEATURES];
    net_value row[NET_FEATURES];
    net_logit logits[NET_CLASSES];
    if (argc != 2)
        return 2;
    printf("%u %u\n", (unsigned)sizeof(net_model), (unsigned)sizeof(net_stream));
    net_start(&stream, (uint32_t)atoi(argv[1]));
    for (int number = 1; fread(raw, sizeof raw, 1, stdin) == 1; number++) {
        if (net_from_floats(raw, 1, row) == NET_NOT_FINITE) {
            printf("-1\n");
            continue;
        }
        if (net_push(&stream, row, logits) != 1)
            continue;
        printf("%d", number);
        for (uint32_t k = 0; k < NET_CLASSES; k++)
            printf(" %a", (double)net_real(logits[k]));
        printf(" %s\n", net_labels[net_class(logits)]);
    }
    return 0;
}
