/* What the kernels for ARM's NEON have in common: rescaling of sums, the kernels that compilers do not turn
 * into good vector code from elementwise.h, and int16 and hybrid matmuls on rows.
 *
 * Vectors of 16 values may read up to 15 values past the end of a tensor, which ER_SLACK allows, and never
 * write there. On 32-bit ARM only integers are in vectors: NEON flushes denormal numbers to zero there. */
#ifndef ER_NEON_H
#define ER_NEON_H

#include <arm_neon.h>

#include "matmul_plain.h"

#define ER_INLINE static inline __attribute__((always_inline))

/* Keeps clang from what costs instructions here: from computing each address from the first one, where
 * loads can move the pointer on, and from loading so far ahead that the registers do not suffice. */
#define ER_IN_ORDER(POINTER) __asm__ volatile("" : "+r"(POINTER) : : "memory")

#if defined(__aarch64__)
/* 64 bytes. gcc 12 moves the results of one load of four registers about. */
ER_INLINE int8x16x4_t er_64_bytes(const int8_t *at)
{
#if defined(__clang__)
    return vld1q_s8_x4(at);
#else
    const int8x16x4_t found = {{vld1q_s8(at), vld1q_s8(at + 16), vld1q_s8(at + 32), vld1q_s8(at + 48)}};
    return found;
#endif
}
#endif

/* Before a loop of known length, whose values then stay in registers. */
#if defined(__clang__)
#define ER_UNROLL _Pragma("clang loop unroll(full)")
#else
#define ER_UNROLL _Pragma("GCC unroll 16")
#endif

#if defined(__aarch64__)
ER_INLINE int8x16_t er_two_s16_to_s8(int16x8_t low, int16x8_t high) { return vqmovn_high_s16(vqmovn_s16(low), high); }
ER_INLINE int16x8_t er_two_s32_to_s16(int32x4_t low, int32x4_t high) { return vqmovn_high_s32(vqmovn_s32(low), high); }
ER_INLINE int16x8_t er_product_high(int16x8_t sum, int8x16_t x, int8x16_t w) { return vmlal_high_s8(sum, x, w); }
ER_INLINE int32x4_t er_pairs(int32x4_t a, int32x4_t b) { return vpaddq_s32(a, b); }
ER_INLINE int16x8_t er_less_high(int8x16_t x, int8x16_t zero) { return vsubl_high_s8(x, zero); }
#else
ER_INLINE int8x16_t er_two_s16_to_s8(int16x8_t low, int16x8_t high)
{
    return vcombine_s8(vqmovn_s16(low), vqmovn_s16(high));
}
ER_INLINE int16x8_t er_two_s32_to_s16(int32x4_t low, int32x4_t high)
{
    return vcombine_s16(vqmovn_s32(low), vqmovn_s32(high));
}
ER_INLINE int16x8_t er_product_high(int16x8_t sum, int8x16_t x, int8x16_t w)
{
    return vmlal_s8(sum, vget_high_s8(x), vget_high_s8(w));
}
ER_INLINE int16x8_t er_less_high(int8x16_t x, int8x16_t zero)
{
    return vsubl_s8(vget_high_s8(x), vget_high_s8(zero));
}
ER_INLINE int32x4_t er_pairs(int32x4_t a, int32x4_t b)
{
    return vcombine_s32(vpadd_s32(vget_low_s32(a), vget_high_s32(a)), vpadd_s32(vget_low_s32(b), vget_high_s32(b)));
}
#endif

ER_INLINE int16x8_t er_less_low(int8x16_t x, int8x16_t zero) { return vsubl_s8(vget_low_s8(x), vget_low_s8(zero)); }

/* The sums of four vectors, one in each value. */
ER_INLINE int32x4_t er_four_sums(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d)
{
    return er_pairs(er_pairs(a, b), er_pairs(c, d));
}

/* Products of 16 values, added in pairs: 8 sums within 16 bits, since no weight is -128. */
ER_INLINE int16x8_t er_products(int8x16_t x, int8x16_t w)
{
    return er_product_high(vmull_s8(vget_low_s8(x), vget_low_s8(w)), x, w);
}

/* er_divide(er_high(x, mult), right): the shift rounds ties upwards, so 1 is taken from negative values
 * before. `left` is -right, and not 0. */
ER_INLINE int32x4_t er_rescale_vector(int32x4_t x, int32x4_t mult, int32x4_t left)
{
    const int32x4_t high = vqrdmulhq_s32(x, mult);
    return vrshlq_s32(vsraq_n_s32(high, high, 31), left);
}

/* The same where `left` may be 0. */
ER_INLINE int32x4_t er_rescale_any(int32x4_t x, int32x4_t mult, int32x4_t left)
{
    const int32x4_t high = vqrdmulhq_s32(x, mult);
    return vrshlq_s32(vsraq_n_s32(high, vandq_s32(high, left), 31), left);
}

/* 16 int32 values plus zero, within the limits. */
ER_INLINE int8x16_t er_narrow_s8(int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d, int16x8_t zero,
                                 int8x16_t low, int8x16_t high)
{
    const int16x8_t first = vqaddq_s16(er_two_s32_to_s16(a, b), zero);
    const int16x8_t second = vqaddq_s16(er_two_s32_to_s16(c, d), zero);
    return vminq_s8(vmaxq_s8(er_two_s16_to_s8(first, second), low), high);
}

/* The first `count` values of less than 16. No loop, which compilers would turn into a call. */
ER_INLINE void er_store_some_s8(int8_t *out, int8x16_t values, uint32_t count)
{
    if (count & 8) {
        vst1_s8(out, vget_low_s8(values));
        values = vextq_s8(values, values, 8);
        out += 8;
    }
    if (count & 4) {
        const int32_t four = vgetq_lane_s32(vreinterpretq_s32_s8(values), 0);
        memcpy(out, &four, sizeof four);
        values = vextq_s8(values, values, 4);
        out += 4;
    }
    if (count & 2) {
        const int16_t two = vgetq_lane_s16(vreinterpretq_s16_s8(values), 0);
        memcpy(out, &two, sizeof two);
        values = vextq_s8(values, values, 2);
        out += 2;
    }
    if (count & 1)
        *out = vgetq_lane_s8(values, 0);
}

ER_INLINE void er_store_some_s16(int16_t *out, int16x8_t values, uint32_t count)
{
    er_store_some_s8((int8_t *)out, vreinterpretq_s8_s16(values), 2 * count);
}

/* Sets the values of each row, TOGETHER of them at a time, to VALUES, in terms of `first` and `second`, where
 * the inputs' values are. STEP0, STEP1: as in er_map. */
#define ER_EACH_VECTOR(P, STEP0, STEP1, TYPE, TOGETHER, STORE, STORE_SOME, VALUES)                        \
    const uint32_t whole = (P)->width / (TOGETHER), rest = (P)->width % (TOGETHER);                       \
    ER_EACH_ROW(P, {                                                                                      \
        const uint8_t *first = row0;                                                                      \
        const uint8_t *second = row1;                                                                     \
        TYPE *results = (TYPE *)result;                                                                   \
        (void)second;                                                                                     \
        for (uint32_t k = whole; k > 0; k--) {                                                            \
            STORE(results, VALUES);                                                                       \
            first += (STEP0) * 16;                                                                        \
            second += (STEP1) * 16;                                                                       \
            results += (TOGETHER);                                                                        \
        }                                                                                                 \
        if (rest)                                                                                         \
            STORE_SOME(results, VALUES, rest);                                                            \
    })
#define ER_EACH_16(P, STEP0, STEP1, VALUES)                                                               \
    ER_EACH_VECTOR(P, STEP0, STEP1, int8_t, 16, vst1q_s8, er_store_some_s8, VALUES)
#define ER_EACH_8(P, STEP0, STEP1, VALUES)                                                                \
    ER_EACH_VECTOR(P, STEP0, STEP1, int16_t, 8, vst1q_s16, er_store_some_s16, VALUES)

#if defined(__aarch64__)
/* The whole table is in 16 registers. A lookup leaves what the one before has found. */
ER_INLINE int8x16_t er_looked_up(const int8x16x4_t table[4], uint8x16_t place)
{
    const int8x16_t first = vqtbl4q_s8(table[0], place);
    const int8x16_t second = vqtbx4q_s8(first, table[1], vsubq_u8(place, vdupq_n_u8(64)));
    const int8x16_t third = vqtbx4q_s8(second, table[2], vsubq_u8(place, vdupq_n_u8(128)));
    return vqtbx4q_s8(third, table[3], vsubq_u8(place, vdupq_n_u8(192)));
}

static void er_neon_lookup_s8(ER_ARGUMENTS)
{
    const er_map *p = params;
    const int8_t *values = (const int8_t *)(plan + p->table);
    const int8x16x4_t table[4] = {vld1q_s8_x4(values), vld1q_s8_x4(values + 64), vld1q_s8_x4(values + 128),
                                  vld1q_s8_x4(values + 192)};
    const uint32_t pairs = p->width / 32, one = p->width & 16, rest = p->width % 16;
    ER_EACH_ROW(p, {
        int8_t *results = (int8_t *)result;
        for (uint32_t k = pairs; k > 0; k--, row0 += 32, results += 32) {
            const uint8x16_t first = vld1q_u8(row0), second = vld1q_u8(row0 + 16);
            vst1q_s8(results, er_looked_up(table, first));
            vst1q_s8(results + 16, er_looked_up(table, second));
        }
        if (one) {
            vst1q_s8(results, er_looked_up(table, vld1q_u8(row0)));
            row0 += 16, results += 16;
        }
        if (rest)
            er_store_some_s8(results, er_looked_up(table, vld1q_u8(row0)), rest);
    })
}
#endif

/* The values there, or one value that stands for all. */
ER_INLINE int8x16_t er_values_s8(const uint8_t *at, uint32_t step)
{
    return step ? vld1q_s8((const int8_t *)at) : vdupq_n_s8(*(const int8_t *)at);
}

ER_INLINE int16x8_t er_values_s16(const uint8_t *at, uint32_t step)
{
    return step ? vld1q_s16((const int16_t *)at) : vdupq_n_s16(*(const int16_t *)at);
}

/* er_map in vectors. */
typedef struct {
    int32x4_t mult1, left1, mult, left;
    int8x16_t zero0, zero1;
    int16x8_t zero, low_s16, high_s16;
    int8x16_t low, high;
} er_map_vectors;

ER_INLINE er_map_vectors er_vectors_of(const er_map *p)
{
    int8x16_t zero0 = vdupq_n_s8((int8_t)p->zero0), zero1 = vdupq_n_s8((int8_t)p->zero1);
    /* Else clang knows that both halves are alike, and takes more instructions for the high half of x. */
    __asm__("" : "+w"(zero0), "+w"(zero1));
    const er_map_vectors found = {
        vdupq_n_s32(p->mult1),
        vdupq_n_s32(p->shift1),
        vdupq_n_s32(p->mult),
        vdupq_n_s32(p->shift),
        zero0,
        zero1,
        vdupq_n_s16((int16_t)p->zero),
        vdupq_n_s16((int16_t)p->low),
        vdupq_n_s16((int16_t)p->high),
        vdupq_n_s8((int8_t)p->low),
        vdupq_n_s8((int8_t)p->high),
    };
    return found;
}

/* The sum of values of the larger scale, which is multiplied by exactly 1/2, and of the smaller one. */
ER_INLINE int32x4_t er_sum(const er_map_vectors *v, int32x4_t half, int32x4_t y)
{
    return er_rescale_vector(vaddq_s32(half, er_rescale_any(y, v->mult1, v->left1)), v->mult, v->left);
}

/* 16 sums of int8 values, which are shifted by 20. */
ER_INLINE int8x16_t er_sums_of_s8(const er_map_vectors *v, int8x16_t x, int8x16_t y)
{
    const int16x8_t x0 = vshlq_n_s16(er_less_low(x, v->zero0), 7), x1 = vshlq_n_s16(er_less_high(x, v->zero0), 7);
    const int16x8_t y0 = vshlq_n_s16(er_less_low(y, v->zero1), 7), y1 = vshlq_n_s16(er_less_high(y, v->zero1), 7);
    return er_narrow_s8(er_sum(v, vshll_n_s16(vget_low_s16(x0), 12), vshll_n_s16(vget_low_s16(y0), 13)),
                        er_sum(v, vshll_n_s16(vget_high_s16(x0), 12), vshll_n_s16(vget_high_s16(y0), 13)),
                        er_sum(v, vshll_n_s16(vget_low_s16(x1), 12), vshll_n_s16(vget_low_s16(y1), 13)),
                        er_sum(v, vshll_n_s16(vget_high_s16(x1), 12), vshll_n_s16(vget_high_s16(y1), 13)),
                        v->zero, v->low, v->high);
}

ER_INLINE int8x16_t er_products_of_s8(const er_map_vectors *v, int8x16_t x, int8x16_t y)
{
    const int16x8_t x0 = er_less_low(x, v->zero0), x1 = er_less_high(x, v->zero0);
    const int16x8_t y0 = er_less_low(y, v->zero1), y1 = er_less_high(y, v->zero1);
    return er_narrow_s8(
        er_rescale_vector(vmull_s16(vget_low_s16(x0), vget_low_s16(y0)), v->mult, v->left),
        er_rescale_vector(vmull_s16(vget_high_s16(x0), vget_high_s16(y0)), v->mult, v->left),
        er_rescale_vector(vmull_s16(vget_low_s16(x1), vget_low_s16(y1)), v->mult, v->left),
        er_rescale_vector(vmull_s16(vget_high_s16(x1), vget_high_s16(y1)), v->mult, v->left), v->zero, v->low, v->high);
}

ER_INLINE int16x8_t er_narrow_s16(const er_map_vectors *v, int32x4_t low, int32x4_t high)
{
    return vminq_s16(vmaxq_s16(er_two_s32_to_s16(low, high), v->low_s16), v->high_s16);
}

/* 8 sums of int16 values, which are shifted by 15. */
ER_INLINE int16x8_t er_sums_of_s16(const er_map_vectors *v, int16x8_t x, int16x8_t y)
{
    return er_narrow_s16(v, er_sum(v, vshll_n_s16(vget_low_s16(x), 14), vshll_n_s16(vget_low_s16(y), 15)),
                         er_sum(v, vshll_n_s16(vget_high_s16(x), 14), vshll_n_s16(vget_high_s16(y), 15)));
}

ER_INLINE int16x8_t er_products_of_s16(const er_map_vectors *v, int16x8_t x, int16x8_t y)
{
    return er_narrow_s16(
        v, er_rescale_vector(vmull_s16(vget_low_s16(x), vget_low_s16(y)), v->mult, v->left),
        er_rescale_vector(vmull_s16(vget_high_s16(x), vget_high_s16(y)), v->mult, v->left));
}

/* The loops of a kernel of two inputs; the first loop, where both have values of their own, is the fast one. */
#define ER_NEON_BINARY(NAME, TYPE, EACH, FUNCTION)                                                        \
    static void er_neon_##NAME##_##TYPE##_loops(const uint8_t *in0, const uint8_t *in1, uint8_t *out,     \
                                                const er_map *p, const er_lanes *lanes)                   \
    {                                                                                                     \
        const er_map_vectors v = er_vectors_of(p);                                                        \
        if (p->step0 & p->step1) {                                                                        \
            EACH(p, 1, 1, FUNCTION(&v, er_values_##TYPE(first, 1), er_values_##TYPE(second, 1)))          \
        } else {                                                                                          \
            const uint32_t step0 = p->step0, step1 = p->step1;                                            \
            EACH(p, step0, step1,                                                                         \
                 FUNCTION(&v, er_values_##TYPE(first, step0), er_values_##TYPE(second, step1)))           \
        }                                                                                                 \
    }
ER_NEON_BINARY(add, s8, ER_EACH_16, er_sums_of_s8)
ER_NEON_BINARY(mul, s8, ER_EACH_16, er_products_of_s8)
ER_NEON_BINARY(add, s16, ER_EACH_8, er_sums_of_s16)
ER_NEON_BINARY(mul, s16, ER_EACH_8, er_products_of_s16)

/* A function of its own for rare calls, which would slow down all calls in the function that they come from. */
#define ER_RARELY(NAME)                                                                                   \
    static __attribute__((noinline)) void NAME##_rarely(ER_ARGUMENTS)                                     \
    {                                                                                                     \
        NAME(in0, in1, out, params, plan, lanes);                                                         \
    }
ER_RARELY(er_add_s8)
ER_RARELY(er_add_s16)
ER_RARELY(er_mul_s8)
ER_RARELY(er_mul_s16)

/* Whether a multiplier is 1/2. */
static inline int er_is_half(int32_t mult, int32_t shift) { return mult == 1 << 30 && shift == 0; }

/* The kernels are for shifts to the right, and sums that are scaled as TFLite scales them. */
#define ER_NEON_ADD(TYPE)                                                                                 \
    static void er_neon_add_##TYPE(ER_ARGUMENTS)                                                          \
    {                                                                                                     \
        const er_map *p = params;                                                                         \
        if (p->shift < 0 && er_is_half(p->mult0, p->shift0))                                              \
            er_neon_add_##TYPE##_loops(in0, in1, out, p, lanes);                                          \
        else if (p->shift < 0 && er_is_half(p->mult1, p->shift1)) {                                       \
            const er_map swapped = er_swapped(p);                                                         \
            const er_lanes strides = {lanes->count, lanes->stride1, lanes->stride0, lanes->stride};       \
            er_neon_add_##TYPE##_loops(in1, in0, out, &swapped, &strides);                                \
        } else                                                                                            \
            er_add_##TYPE##_rarely(in0, in1, out, params, plan, lanes);                                   \
    }
#define ER_NEON_MUL(TYPE)                                                                                 \
    static void er_neon_mul_##TYPE(ER_ARGUMENTS)                                                          \
    {                                                                                                     \
        const er_map *p = params;                                                                         \
        if (p->shift < 0)                                                                                 \
            er_neon_mul_##TYPE##_loops(in0, in1, out, p, lanes);                                          \
        else                                                                                              \
            er_mul_##TYPE##_rarely(in0, in1, out, params, plan, lanes);                                   \
    }

static er_map er_swapped(const er_map *p)
{
    er_map swapped = *p;
    swapped.pitch0 = p->pitch1, swapped.pitch1 = p->pitch0;
    swapped.step0 = p->step1, swapped.step1 = p->step0;
    swapped.zero0 = p->zero1, swapped.zero1 = p->zero0;
    swapped.mult0 = p->mult1, swapped.mult1 = p->mult0;
    swapped.shift0 = p->shift1, swapped.shift1 = p->shift0;
    return swapped;
}
ER_NEON_ADD(s8)
ER_NEON_ADD(s16)
ER_NEON_MUL(s8)
ER_NEON_MUL(s16)

/* What becomes of the sums of an int8 matmul, by copy: results, which are bytes, could change it else. */
typedef struct {
    const int32_t *bias, *mults, *rights;
    int16x8_t zero;
    int8x16_t low, high;
} er_ending;

ER_INLINE er_ending er_ending_of(const er_matmul *p, const uint8_t *plan)
{
    const er_ending found = {(const int32_t *)(plan + p->bias), (const int32_t *)(plan + p->mults),
                             (const int32_t *)(plan + p->shifts), vdupq_n_s16((int16_t)p->zero),
                             vdupq_n_s8((int8_t)p->low), vdupq_n_s8((int8_t)p->high)};
    return found;
}

/* For matmuls that begin with a later row. */
ER_INLINE er_ending er_ending_from(er_ending e, size_t row)
{
    e.bias += row;
    e.mults += row;
    e.rights += row;
    return e;
}

/* The results of the four rows from `o` on before they are narrowed. The sums include the biases. */
ER_INLINE int32x4_t er_rescaled(const er_ending *e, size_t o, int32x4_t sums)
{
    return er_rescale_any(sums, vld1q_s32(e->mults + o), vnegq_s32(vld1q_s32(e->rights + o)));
}

/* The results of the 16 rows from `o` on. */
ER_INLINE int8x16_t er_results_s8(const er_ending *e, size_t o, int32x4_t a, int32x4_t b, int32x4_t c, int32x4_t d)
{
    return er_narrow_s8(er_rescaled(e, o, a), er_rescaled(e, o + 4, b), er_rescaled(e, o + 8, c),
                        er_rescaled(e, o + 12, d), e->zero, e->low, e->high);
}

/* The same for sums without the biases. */
ER_INLINE int8x16_t er_biased_results_s8(const er_ending *e, size_t o, int32x4_t a, int32x4_t b, int32x4_t c,
                                         int32x4_t d)
{
    const int32_t *bias = e->bias + o;
    return er_results_s8(e, o, vaddq_s32(a, vld1q_s32(bias)), vaddq_s32(b, vld1q_s32(bias + 4)),
                         vaddq_s32(c, vld1q_s32(bias + 8)), vaddq_s32(d, vld1q_s32(bias + 12)));
}

/* The results of up to 16 rows of a hybrid matmul from `o` on. */
ER_INLINE void er_neon_results_hybrid(const er_matmul *p, const uint8_t *plan, uint32_t o, er_row row,
                                      const int32_t *sums, float *results)
{
    const float *bias = (const float *)(plan + p->bias) + o, *scales = (const float *)(plan + p->mults) + o;
    const int32_t *weight_sums = (const int32_t *)(plan + p->shifts) + o;
    float values[16]; /* the arrays have room for 16, the results may not */
    for (uint32_t k = 0; k < 16; k++)
        values[k] = er_row_result((float)(sums[k] - row.zero_point * weight_sums[k]), row.scale, scales[k], bias[k]);
    if (p->low == 0 && p->high == 1)
        for (uint32_t k = 0; k < 16; k++)
            values[k] = values[k] <= 0 ? 0.0f : values[k];
    memcpy(results + o, values, p->out - o < 16 ? (p->out - o) * sizeof(float) : sizeof values);
}

#if defined(__aarch64__)
ER_RARELY(er_add_f32)
ER_RARELY(er_mul_f32)

/* Sums and products of float32, 16 at a time. */
#define ER_NEON_FLOAT(NAME, FUNCTION, EXPRESSION)                                                         \
    static void er_neon_##NAME##_f32(ER_ARGUMENTS)                                                        \
    {                                                                                                     \
        const er_map *p = params;                                                                         \
        if (!(p->step0 & p->step1)) {                                                                     \
            er_##NAME##_f32_rarely(in0, in1, out, params, plan, lanes);                                   \
            return;                                                                                       \
        }                                                                                                 \
        ER_EACH_ROW(p, {                                                                                  \
            const float *a = (const float *)row0;                                                         \
            const float *b = (const float *)row1;                                                         \
            float *results = (float *)result;                                                             \
            uint32_t k = p->width / 16;                                                                   \
            const uint32_t rest = p->width % 16;                                                          \
            for (; k > 0; k--, a += 16, b += 16, results += 16) {                                         \
                const float32x4_t r0 = FUNCTION(vld1q_f32(a), vld1q_f32(b));                              \
                const float32x4_t r1 = FUNCTION(vld1q_f32(a + 4), vld1q_f32(b + 4));                      \
                const float32x4_t r2 = FUNCTION(vld1q_f32(a + 8), vld1q_f32(b + 8));                      \
                const float32x4_t r3 = FUNCTION(vld1q_f32(a + 12), vld1q_f32(b + 12));                    \
                vst1q_f32(results, r0);                                                                   \
                vst1q_f32(results + 4, r1);                                                               \
                vst1q_f32(results + 8, r2);                                                               \
                vst1q_f32(results + 12, r3);                                                              \
            }                                                                                             \
            for (k = 0; k < rest; k++) {                                                                  \
                const float x = a[k], y = b[k];                                                           \
                results[k] = EXPRESSION;                                                                  \
            }                                                                                             \
        })                                                                                                \
    }
ER_NEON_FLOAT(add, vaddq_f32, x + y)
ER_NEON_FLOAT(mul, vmulq_f32, x * y)
#define ER_NEON_AARCH64                                                                                   \
    , [ER_LOOKUP_S8] = er_neon_lookup_s8, [ER_ADD_F32] = er_neon_add_f32, [ER_MUL_F32] = er_neon_mul_f32
#else
#define ER_NEON_AARCH64
#endif

/* The entries of both sets besides matmuls. */
#define ER_NEON_ELEMENTWISE                                                                               \
    ER_ELEMENTWISE, [ER_ADD_S8] = er_neon_add_s8, [ER_MUL_S8] = er_neon_mul_s8,                           \
    [ER_ADD_S16] = er_neon_add_s16, [ER_MUL_S16] = er_neon_mul_s16 ER_NEON_AARCH64

/* The kernels above take the place of those of elementwise.h, which gcc and clang would warn of. */
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Woverride-init"
#endif

#endif
