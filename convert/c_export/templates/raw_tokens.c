/* Tokens and real logits of @name@.h. */
#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__
#pragma GCC optimize("fp-contract=off", "no-math-errno", "wrapv") /* fused multiply-adds would round differently */
#endif

#include "@name@.h"

int @name@_from_tokens(const int32_t *raw, uint32_t rows, @name@_value *values)
{
    for (size_t k = 0; k < (size_t)rows * @NAME@_FEATURES; k++) {
        if (raw[k] < 0 || raw[k] > @last_token@)
            return @NAME@_NO_TOKEN;
        values[k] = raw[k];
    }
    return 0;
}

float @name@_real(@name@_@output@ logit) { return @real@; }
