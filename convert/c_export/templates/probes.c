/* See @name@_probes.h. */
#include "@name@_probes.h"

#include <string.h>

#include "@name@.h"

#define PROBES @probes@

static const @probe_type@ raw[PROBES][@NAME@_STEPS * @NAME@_FEATURES] = {
@windows@};

static const @bits_type@ expected[PROBES][@NAME@_@COUNT@] = {
@expected@};

static @name@_value window[@NAME@_STEPS * @NAME@_FEATURES];

/* Memory that windows and rows need one after the other. */
static union {
    @name@_model model;
    @name@_stream stream;
} memory;

static int differs(const @name@_@output@ *logits, int probe)
{
    return memcmp(logits, expected[probe], sizeof expected[probe]) != 0;
}

static int window_fails(int probe)
{
    @name@_@output@ logits[@NAME@_@COUNT@];
    return @name@_run(&memory.model, window, logits) || differs(logits, probe);
}

static int rows_fail(int probe)
{
    @name@_@output@ logits[@NAME@_@COUNT@];
    int found = 0;
    @name@_start(&memory.stream, @NAME@_STEPS);
    for (uint32_t row = 0; row < @NAME@_STEPS; row++)
        found = @name@_push(&memory.stream, window + row * @NAME@_FEATURES, logits);
    return found != 1 || differs(logits, probe);
}

int @name@_failed_probe(void)
{
    for (int probe = 0; probe < PROBES; probe++) {
        @name@_from_@probe_name@(raw[probe], @NAME@_STEPS, window);
        if (window_fails(probe) || rows_fail(probe))
            return probe + 1;
    }
    return 0;
}
