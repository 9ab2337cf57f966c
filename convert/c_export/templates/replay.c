/* Replays the golden vectors of @name@ through its exported C (edge-rnn export-c --name @name@):
 *     cc -std=c99 -O2 -ffp-contract=off -I EXPORT/src -I . @name@_replay.c EXPORT/src/[a-z]*.c -lm
 * The exit code is 0 if every bit is as recorded, otherwise the number of the first window that differs, from 1, and
 * 255 for any later one. With a number as argument, it only runs the windows that many times, to be measured. */
#include <stdlib.h>
#include <string.h>

#include "@name@.h"
#include "@name@_vectors.h"

static @name@_model model;
static @name@_value values[@NAME@_VECTOR_VALUES];
static @name@_logit outputs[@NAME@_VECTOR_OUTPUTS];

static int differs(int window)
{
    @name@_from_@raw_name@(@name@_vector_raw[window], @NAME@_STEPS, values);
    if (memcmp(values, @name@_vector_inputs[window], sizeof values))
        return 1;
    if (@name@_run(&model, values, outputs) || memcmp(outputs, @name@_vector_outputs[window], sizeof outputs))
        return 1;
    for (int k = 0; k < @NAME@_VECTOR_OUTPUTS; k++)
        if (@name@_real(outputs[k]) != @name@_vector_logits[window][k])
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 0;
    for (int round = 0; round < rounds; round++)
        for (int window = 0; window < @NAME@_VECTORS; window++) {
            memcpy(values, @name@_vector_inputs[window], sizeof values);
            @name@_run(&model, values, outputs);
        }
    for (int window = 0; argc == 1 && window < @NAME@_VECTORS; window++)
        if (differs(window))
            return window < 254 ? window + 1 : 255;
    return 0;
}
