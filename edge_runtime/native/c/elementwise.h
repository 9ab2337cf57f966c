/* The kernels that are no matmuls, in plain C that compilers turn into vector code. Every set of kernels
 * includes this file and compiles it for its instruction set.
 *
 * Integer arithmetic equals edge_runtime/numpy_engine/integer_kernels.py and int16_kernels.py, where the
 * sources of the formulas are named. */
#ifndef ER_ELEMENTWISE_H
#define ER_ELEMENTWISE_H

#include <string.h>

#include "edge_rnn.h"
#include "fixed_point.h"
#include "float_functions.h"

/* Runs the statements for each row of each lane, with `in0`, `in1` and `out` moved to the row. */
#define ER_EACH_ROW(P, ...)                                                                               \
    for (uint32_t lane = 0; lane < lanes->count; lane++) {                                                \
        for (uint32_t row = 0; row < (P)->rows; row++) {                                                  \
            const uint8_t *row0 = in0 + lane * lanes->stride0 + (size_t)row * (P)->pitch0;                \
            const uint8_t *row1 = in1 + lane * lanes->stride1 + (size_t)row * (P)->pitch1;                \
            uint8_t *result = out + lane * lanes->stride + (size_t)row * (P)->pitch;                      \
            (void)row1;                                                                                   \
            __VA_ARGS__                                                                                       \
        }                                                                                                 \
    }

/* The arguments of a kernel. */
#define ER_ARGUMENTS                                                                                      \
    const uint8_t *in0, uint8_t *in1, uint8_t *out, const void *params, const uint8_t *plan,              \
        const er_lanes *lanes

/* A function of one value: EXPRESSION in terms of x, p and the locals of SETUP. */
#define ER_UNARY(NAME, TYPE0, TYPE, SETUP, EXPRESSION)                                                    \
    static inline void NAME(ER_ARGUMENTS)                                                                    \
    {                                                                                                     \
        const er_map *p = params;                                                                         \
        const uint32_t width = p->width;                                                                  \
        (void)plan;                                                                                       \
        SETUP;                                                                                            \
        ER_EACH_ROW(p, {                                                                                  \
            const TYPE0 *values = (const TYPE0 *)row0;                                                    \
            TYPE *results = (TYPE *)result;                                                               \
            for (uint32_t i = 0; i < width; i++) {                                                        \
                const TYPE0 x = values[i];                                                                \
                results[i] = (TYPE)(EXPRESSION);                                                          \
            }                                                                                             \
        })                                                                                                \
    }

/* A function of two values; the loop without steps is the one that becomes vector code. */
#define ER_BINARY(NAME, TYPE, SETUP, EXPRESSION)                                                          \
    static inline void NAME(ER_ARGUMENTS)                                                                    \
    {                                                                                                     \
        const er_map *p = params;                                                                         \
        const uint32_t width = p->width, step0 = p->step0, step1 = p->step1;                              \
        (void)plan;                                                                                       \
        SETUP;                                                                                            \
        ER_EACH_ROW(p, {                                                                                  \
            const TYPE *first = (const TYPE *)row0;                                                       \
            const TYPE *second = (const TYPE *)row1;                                                      \
            TYPE *results = (TYPE *)result;                                                               \
            if (step0 & step1) {                                                                          \
                for (uint32_t i = 0; i < width; i++) {                                                    \
                    const TYPE x = first[i], y = second[i];                                               \
                    results[i] = (TYPE)(EXPRESSION);                                                      \
                }                                                                                         \
            } else {                                                                                      \
                for (uint32_t i = 0; i < width; i++) {                                                    \
                    const TYPE x = first[i * step0], y = second[i * step1];                               \
                    results[i] = (TYPE)(EXPRESSION);                                                      \
                }                                                                                         \
            }                                                                                             \
        })                                                                                                \
    }

static inline void er_copy(ER_ARGUMENTS)
{
    const er_map *p = params;
    (void)plan;
    ER_EACH_ROW(p, memcpy(result, row0, p->width);)
}

static inline void er_lookup_s8(ER_ARGUMENTS)
{
    const er_map *p = params;
    const int8_t *table = (const int8_t *)(plan + p->table);
    ER_EACH_ROW(p, {
        int8_t *results = (int8_t *)result;
        for (uint32_t i = 0; i < p->width; i++)
            results[i] = table[row0[i]];
    })
}

#define ER_SHIFTS                                                                                         \
    const int32_t mult = p->mult, left = er_left(p->shift), right = er_right(p->shift);                   \
    const int32_t zero0 = p->zero0, zero1 = p->zero1, zero = p->zero, low = p->low, high = p->high;       \
    (void)zero0, (void)zero1, (void)zero, (void)low, (void)high

#define ER_INPUT_SHIFTS                                                                                   \
    ER_SHIFTS;                                                                                            \
    const int32_t mult0 = p->mult0, right0 = er_right(p->shift0);                                         \
    const int32_t mult1 = p->mult1, right1 = er_right(p->shift1)

#define ER_SUM(BITS)                                                                                      \
    er_clip(er_rescale(er_divide(er_high((x - zero0) * (1 << (BITS)), mult0), right0) +                   \
                           er_divide(er_high((y - zero1) * (1 << (BITS)), mult1), right1),                \
                       mult, left, right) +                                                               \
                zero,                                                                                     \
            low, high)

ER_BINARY(er_add_s8, int8_t, ER_INPUT_SHIFTS, ER_SUM(20))
ER_BINARY(er_add_s16, int16_t, ER_INPUT_SHIFTS, ER_SUM(15))
ER_BINARY(er_mul_s8, int8_t, ER_SHIFTS,
          er_clip(er_rescale((x - zero0) * (y - zero1), mult, left, right) + zero, low, high))
ER_BINARY(er_mul_s16, int16_t, ER_SHIFTS, er_clip(er_rescale(x * y, mult, left, right), low, high))
ER_UNARY(er_rescale_s16, int16_t, int16_t, ER_SHIFTS, er_clip(er_rescale(x, mult, left, right), low, high))

/* The table of the sigmoid at |x| / 2^bits in 1 / 2^(16 + bits); `saturated` beyond its end. */
static inline int32_t er_interpolated(const uint16_t *table, int32_t magnitude, int32_t bits,
                                      int32_t saturated)
{
    const int32_t place = magnitude >> bits, index = er_min_s32(place, 254);
    const int32_t low = table[index], high = table[index + 1];
    const int32_t inside = (low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low);
    return place >= 255 ? saturated : inside;
}

/* The input in 1 / (3 * 4096), limited: beyond 2^24 every curve is at its end. */
static inline int32_t er_table_input(int16_t x, int32_t factor, int32_t shift)
{
    const int64_t rounding = shift ? (int64_t)1 << (shift - 1) : 0;
    const int64_t scaled = ((int64_t)x * factor + rounding) >> shift;
    return (int32_t)(scaled > 1 << 24 ? 1 << 24 : scaled < -(1 << 24) ? -(1 << 24) : scaled);
}

static inline int32_t er_sigmoid_of(const uint16_t *table, int32_t x)
{
    const int32_t found = er_interpolated(table, x < 0 ? -x : x, 9, 0x7FFF << 10);
    return (x >= 0 ? found + (1 << 9) : (1 << 25) - found + (1 << 9) - 1) >> 10;
}

static inline int32_t er_tanh_of(const uint16_t *table, int32_t x)
{
    const int32_t found = er_interpolated(table, x < 0 ? -x : x, 8, 0xFFFF << 8) - (1 << 23);
    return (x >= 0 ? found + (1 << 7) : (1 << 7) - 1 - found) >> 8;
}

#define ER_CURVE                                                                                          \
    const uint16_t *table = (const uint16_t *)(plan + p->table);                                          \
    const int32_t factor = p->mult, shift = p->shift

ER_UNARY(er_sigmoid_s16, int16_t, int16_t, ER_CURVE,
         er_clip(er_sigmoid_of(table, er_table_input(x, factor, shift)), -32768, 32767))
ER_UNARY(er_tanh_s16, int16_t, int16_t, ER_CURVE,
         er_clip(er_tanh_of(table, er_table_input(x, factor, shift)), -32768, 32767))

#define ER_AFFINE                                                                                         \
    const float scale = p->scale;                                                                         \
    const int32_t zero0 = p->zero0, zero = p->zero;                                                       \
    (void)zero0, (void)zero

ER_UNARY(er_quantize_s8, float, int8_t, ER_AFFINE, er_quantize(x, scale, zero, -128, 127))
ER_UNARY(er_quantize_s16, float, int16_t, ER_AFFINE, er_quantize(x, scale, 0, -32768, 32767))
ER_UNARY(er_dequantize_s8, int8_t, float, ER_AFFINE, er_dequantize(x, scale, zero0))
ER_UNARY(er_dequantize_s16, int16_t, float, ER_AFFINE, er_dequantize(x, scale, zero0))

ER_BINARY(er_add_f32, float, , x + y)
ER_BINARY(er_sub_f32, float, , x - y)
ER_BINARY(er_mul_f32, float, , x * y)
ER_BINARY(er_squared_difference_f32, float, , er_squared_difference(x, y))
ER_UNARY(er_sigmoid_f32, float, float, , er_sigmoid(x))
ER_UNARY(er_tanh_f32, float, float, , er_tanh(x))
ER_UNARY(er_relu_f32, float, float, , er_relu(x))
ER_BINARY(er_minimum_f32, float, , er_minimum(x, y))
ER_UNARY(er_elu_f32, float, float, , er_elu(x))
ER_UNARY(er_rsqrt_f32, float, float, , er_rsqrt(x))

static inline void er_softmax_f32(ER_ARGUMENTS)
{
    const er_map *p = params;
    (void)plan;
    ER_EACH_ROW(p, er_softmax((const float *)row0, (int32_t)p->width, (float *)result);)
}

/* Means and maxima over `count` rows of a [outer][count][width] array. */
#define ER_REDUCTION(NAME, TYPE, START, STEP, END)                                                        \
    static inline void NAME(ER_ARGUMENTS)                                                                    \
    {                                                                                                     \
        const er_reduction *p = params;                                                                   \
        (void)in1, (void)plan;                                                                            \
        for (uint32_t lane = 0; lane < lanes->count; lane++)                                              \
            for (uint32_t row = 0; row < p->outer; row++) {                                               \
                const uint8_t *source = in0 + lane * lanes->stride0 + (size_t)row * p->pitch_outer;       \
                TYPE *results = (TYPE *)(out + lane * lanes->stride + (size_t)row * p->pitch);            \
                for (uint32_t i = 0; i < p->width; i++) {                                                 \
                    TYPE found = START;                                                                   \
                    for (uint32_t k = 0; k < p->count; k++) {                                             \
                        const TYPE x = ((const TYPE *)(source + (size_t)k * p->pitch_count))[i];          \
                        found = STEP;                                                                     \
                    }                                                                                     \
                    results[i] = END;                                                                     \
                }                                                                                         \
            }                                                                                             \
    }

/* Sums begin with the first value, as numpy's do: 0 + -0 would be 0. */
ER_REDUCTION(er_mean_f32, float, 0.0f, k ? found + x : x, found / (float)p->count)
ER_REDUCTION(er_max_f32, float, 0.0f, k ? er_max(found, x) : x, found)
ER_REDUCTION(er_max_s8, int8_t, INT8_MIN, found > x ? found : x, found)
ER_REDUCTION(er_max_s16, int16_t, INT16_MIN, found > x ? found : x, found)

/* Rows of a table, which is a constant: out is not in it. */
static inline void er_gather(ER_ARGUMENTS)
{
    const er_gather_params *p = params;
    (void)plan;
    for (uint32_t lane = 0; lane < lanes->count; lane++) {
        const uint8_t *table = in0 + lane * lanes->stride0;
        for (uint32_t k = 0; k < p->count; k++) {
            const int32_t number = *(const int32_t *)(in1 + lane * lanes->stride1 + (size_t)k * p->pitch1);
            const int32_t row = er_clip(number, 0, (int32_t)(p->rows - 1));
            memcpy(out + lane * lanes->stride + (size_t)k * p->pitch, table + (size_t)row * p->pitch0, p->width);
        }
    }
}

/* A set of kernels may have its own instead of these: it defines the name before the table. */
#ifndef ER_OWN_LOOKUP_S8
#define ER_OWN_LOOKUP_S8 er_lookup_s8
#endif
#ifndef ER_OWN_ADD_S8
#define ER_OWN_ADD_S8 er_add_s8
#endif
#ifndef ER_OWN_MUL_S8
#define ER_OWN_MUL_S8 er_mul_s8
#endif

/* The entries of a set of kernels for everything but matmuls. */
#define ER_ELEMENTWISE                                                                                    \
    [ER_COPY] = er_copy, [ER_LOOKUP_S8] = ER_OWN_LOOKUP_S8, [ER_ADD_S8] = ER_OWN_ADD_S8,                          \
    [ER_MUL_S8] = ER_OWN_MUL_S8, [ER_ADD_S16] = er_add_s16, [ER_MUL_S16] = er_mul_s16,                        \
    [ER_RESCALE_S16] = er_rescale_s16, [ER_SIGMOID_S16] = er_sigmoid_s16, [ER_TANH_S16] = er_tanh_s16,    \
    [ER_QUANTIZE_S8] = er_quantize_s8, [ER_QUANTIZE_S16] = er_quantize_s16,                               \
    [ER_DEQUANTIZE_S8] = er_dequantize_s8, [ER_DEQUANTIZE_S16] = er_dequantize_s16,                       \
    [ER_ADD_F32] = er_add_f32, [ER_SUB_F32] = er_sub_f32, [ER_MUL_F32] = er_mul_f32,                      \
    [ER_SQUARED_DIFFERENCE_F32] = er_squared_difference_f32, [ER_SIGMOID_F32] = er_sigmoid_f32,           \
    [ER_MINIMUM_F32] = er_minimum_f32, [ER_ELU_F32] = er_elu_f32, [ER_GATHER] = er_gather,                \
    [ER_TANH_F32] = er_tanh_f32, [ER_RELU_F32] = er_relu_f32, [ER_RSQRT_F32] = er_rsqrt_f32,              \
    [ER_SOFTMAX_F32] = er_softmax_f32, [ER_MEAN_F32] = er_mean_f32, [ER_MAX_S8] = er_max_s8,              \
    [ER_MAX_S16] = er_max_s16, [ER_MAX_F32] = er_max_f32

#endif
