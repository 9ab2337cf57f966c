/* Raw samples and real logits of @name@.h: the functions that compute in float. */
#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__
#pragma GCC optimize("fp-contract=off", "no-math-errno", "wrapv") /* fused multiply-adds would round differently */
#endif

#include "@name@.h"

#include "edge_rnn/raw_windows.h"

static const float means[] = {@means@};
static const float stds[] = {@stds@};

#define WINDOW(ROWS)                                                                                      \
    {means, stds, (int32_t)(ROWS), (int32_t)@NAME@_FEATURES, @one_mean@, @one_std@, @input_scale@,        \
     @input_zero@, @lowest@, @highest@}

int @name@_from_floats(const float *raw, uint32_t rows, @name@_value *values)
{
    const er_window window = WINDOW(rows);
    return er_fill_@input@(&window, raw, values) ? 0 : @NAME@_NOT_FINITE;
}

void @name@_from_bytes(const uint8_t *raw, uint32_t rows, @name@_value *values)
{
    const er_window window = WINDOW(rows);
    er_fill_@input@_from_bytes(&window, raw, values);
}

float @name@_real(@name@_@output@ logit) { return @real@; }
