/* TFLite's fixed-point rescaling, as edge_runtime/numpy_engine/fixed_point.py has it: a factor is
 * mantissa * 2^(shift - 31). er_check makes sure that nothing overflows. */
#ifndef ER_FIXED_POINT_H
#define ER_FIXED_POINT_H

#include <stdint.h>

static inline int32_t er_min_s32(int32_t a, int32_t b) { return a < b ? a : b; }
static inline int32_t er_max_s32(int32_t a, int32_t b) { return a > b ? a : b; }
static inline int32_t er_clip(int32_t x, int32_t low, int32_t high) { return er_max_s32(er_min_s32(x, high), low); }

/* The high half of the doubled product, to nearest, ties upwards. The low 32 bits of a logical and of an
 * arithmetic shift by 31 are the same; vectors have only the logical one everywhere. */
static inline int32_t er_high(int32_t x, int32_t mantissa)
{
    return (int32_t)(uint32_t)((uint64_t)((int64_t)x * mantissa + (1 << 30)) >> 31);
}

/* x / 2^right, to nearest, ties away from zero; right from 0 to 31. */
static inline int32_t er_divide(int32_t x, int32_t right)
{
    const int32_t half = (int32_t)((1u << right) >> 1);
    return (x + half - ((x < 0) & (right > 0))) >> right;
}

static inline int32_t er_rescale(int32_t x, int32_t mantissa, int32_t left, int32_t right)
{
    return er_divide(er_high((int32_t)((uint32_t)x << left), mantissa), right);
}

/* The same without limits to the sum: for the few files that need it. Where the product exceeds 64 bits,
 * it wraps, as in numpy. */
static inline int64_t er_rescale_wide(int64_t x, int32_t mantissa, int32_t left, int32_t right)
{
    const uint64_t product = ((uint64_t)x << left) * (uint64_t)(int64_t)mantissa;
    const int64_t high = (int64_t)(product + (1u << 30)) >> 31;
    const int64_t half = (int64_t)((1ull << right) >> 1);
    return (high + half - ((high < 0) & (right > 0))) >> right;
}

/* A shift of er_map: to the left if positive, else to the right. */
static inline int32_t er_left(int32_t shift) { return er_max_s32(shift, 0); }
static inline int32_t er_right(int32_t shift) { return er_max_s32(-shift, 0); }

#endif
