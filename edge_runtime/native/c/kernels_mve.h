/* Kernels for Helium (MVE): Cortex-M55, M85 and others with __ARM_FEATURE_MVE. Four values are 32 bits wide at a
 * time where they are rescaled. Memory after a row may be read, but not written. */
#ifndef ER_KERNELS_MVE_H
#define ER_KERNELS_MVE_H

#include "matmul_plain.h"

#include <arm_mve.h>

/* er_divide of four values, given the negated shifts. VRSHL rounds ties upwards, so negative values that are
 * shifted lose 1 before. */
static inline int32x4_t er_mve_divide(int32x4_t x, int32x4_t left)
{
    return vrshlq_s32(vaddq_s32(x, vshrq_n_s32(vandq_s32(x, left), 31)), left);
}

static inline int32x4_t er_mve_clip(int32x4_t x, int32_t low, int32_t high)
{
    return vmaxq_s32(vminq_s32(x, vdupq_n_s32(high)), vdupq_n_s32(low));
}

/* VQRDMULH is er_high. */
static inline int32x4_t er_mve_scaled(int32x4_t x, const er_map *p)
{
    const int32x4_t shifted = vshlq_s32(x, vdupq_n_s32(er_left(p->shift)));
    const int32x4_t high = vqrdmulhq_n_s32(shifted, p->mult);
    const int32x4_t result = er_mve_divide(high, vdupq_n_s32(-er_right(p->shift)));
    return er_mve_clip(vaddq_n_s32(result, p->zero), p->low, p->high);
}

static inline int32x4_t er_mve_addend(const int8_t *x, int32_t zero, int32_t mult, int32_t shift)
{
    const int32x4_t scaled = vshlq_n_s32(vsubq_n_s32(vldrbq_s32(x), zero), 20);
    return er_mve_divide(vqrdmulhq_n_s32(scaled, mult), vdupq_n_s32(-er_right(shift)));
}

static inline void er_mve_add_s8(ER_ARGUMENTS)
{
    const er_map copy = *(const er_map *)params, *p = &copy;
    if (!(p->step0 & p->step1)) {
        er_add_s8(in0, in1, out, params, plan, lanes);
        return;
    }
    ER_EACH_ROW(p, {
        const int8_t *first = (const int8_t *)row0;
        const int8_t *second = (const int8_t *)row1;
        for (uint32_t i = 0; i < p->width; i += 4) {
            const int32x4_t sum = vaddq_s32(er_mve_addend(first + i, p->zero0, p->mult0, p->shift0),
                                            er_mve_addend(second + i, p->zero1, p->mult1, p->shift1));
            vstrbq_p_s32((int8_t *)result + i, er_mve_scaled(sum, p), vctp32q(p->width - i));
        }
    })
}

static inline void er_mve_mul_s8(ER_ARGUMENTS)
{
    const er_map copy = *(const er_map *)params, *p = &copy;
    if (!(p->step0 & p->step1)) {
        er_mul_s8(in0, in1, out, params, plan, lanes);
        return;
    }
    ER_EACH_ROW(p, {
        const int8_t *first = (const int8_t *)row0;
        const int8_t *second = (const int8_t *)row1;
        for (uint32_t i = 0; i < p->width; i += 4) {
            const int32x4_t product = vmulq_s32(vsubq_n_s32(vldrbq_s32(first + i), p->zero0),
                                                vsubq_n_s32(vldrbq_s32(second + i), p->zero1));
            vstrbq_p_s32((int8_t *)result + i, er_mve_scaled(product, p), vctp32q(p->width - i));
        }
    })
}

static inline void er_mve_lookup_s8(ER_ARGUMENTS)
{
    const er_map *p = params;
    const uint8_t *table = plan + p->table;
    const uint32_t width = p->width;
    ER_EACH_ROW(p, {
        for (uint32_t i = 0; i < width; i += 16) {
            const uint8x16_t found = vldrbq_gather_offset_u8(table, vldrbq_u8(row0 + i));
            vstrbq_p_u8(result + i, found, vctp8q(width - i));
        }
    })
}

/* The sums of `rows` rows of the matrix, at most four, that are `pitch` bytes apart. They are padded with zeros
 * to 16 values. */
static inline int32x4_t er_mve_sums(const int8_t *x, const int8_t *weights, size_t pitch, uint32_t in,
                                    uint32_t rows)
{
    const int8_t *first = weights, *second = rows > 1 ? first + pitch : first;
    const int8_t *third = rows > 2 ? second + pitch : first, *fourth = rows > 3 ? third + pitch : first;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (uint32_t i = 0; i < in; i += 16) {
        const int8x16_t values = vldrbq_s8(x + i);
        s0 = vmladavaq_s8(s0, values, vldrbq_s8(first + i));
        s1 = vmladavaq_s8(s1, values, vldrbq_s8(second + i));
        s2 = vmladavaq_s8(s2, values, vldrbq_s8(third + i));
        s3 = vmladavaq_s8(s3, values, vldrbq_s8(fourth + i));
    }
    int32x4_t sums = vdupq_n_s32(s0);
    sums = vsetq_lane_s32(s1, sums, 1);
    sums = vsetq_lane_s32(s2, sums, 2);
    return vsetq_lane_s32(s3, sums, 3);
}

static inline void er_mve_matmul_s8(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    const int32_t *bias = (const int32_t *)(plan + p->bias);
    const int32_t *mults = (const int32_t *)(plan + p->mults), *shifts = (const int32_t *)(plan + p->shifts);
    const size_t pitch = er_padded(p->in);
    if (p->wide) {
        er_plain_matmul_s8(in0, in1, out, params, plan, lanes);
        return;
    }
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const int8_t *x = (const int8_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            int8_t *results = (int8_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            for (uint32_t o = 0; o < p->out; o += 4) {
                const uint32_t rest = p->out - o;
                int32x4_t sums = er_mve_sums(x, weights + o * pitch, pitch, p->in, rest);
                sums = vaddq_s32(sums, vldrwq_s32(bias + o));
                sums = vqrdmulhq_s32(sums, vldrwq_s32(mults + o));
                sums = er_mve_divide(sums, vnegq_s32(vldrwq_s32(shifts + o)));
                sums = er_mve_clip(vaddq_n_s32(sums, p->zero), p->low, p->high);
                vstrbq_p_s32(results + o, sums, vctp32q(rest));
            }
        }
}

static inline void er_mve_matmul_s16(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    const size_t pitch = er_padded(p->in);
    if (p->wide) {
        er_plain_matmul_s16(in0, in1, out, params, plan, lanes);
        return;
    }
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const int16_t *x = (const int16_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            int16_t *results = (int16_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            for (uint32_t o = 0; o < p->out; o++) {
                const int8_t *w = weights + o * pitch;
                int32_t sum = 0;
                for (uint32_t i = 0; i < p->in; i += 8)
                    sum = vmladavaq_s16(sum, vldrhq_s16(x + i), vldrbq_s16(w + i));
                results[o] = er_matmul_result_s16(p, plan, o, sum);
            }
        }
}

static inline void er_mve_matmul_hybrid(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    const float *bias = (const float *)(plan + p->bias);
    const float *scales = (const float *)(plan + p->mults);
    const int32_t *row_sums = (const int32_t *)(plan + p->shifts);
    const size_t pitch = er_padded(p->in);
    if (p->wide) {
        er_plain_matmul_hybrid(in0, in1, out, params, plan, lanes);
        return;
    }
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const float *x = (const float *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            float *results = (float *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            int8_t *q = (int8_t *)(in1 + lane * lanes->stride1);
            const er_row found = er_row_of(x, (int32_t)p->in);
            er_row_quantize_all(x, (int32_t)p->in, found, q);
            for (uint32_t o = 0; o < p->out; o += 4) {
                const uint32_t rest = p->out - o;
                int32_t sums[4];
                vstrwq_s32(sums, er_mve_sums(q, weights + o * pitch, pitch, p->in, rest));
                for (uint32_t k = o; k < o + 4 && k < p->out; k++)
                    results[k] = er_matmul_result_f32(
                        p, er_row_result((float)(sums[k - o] - found.zero_point * row_sums[k]), found.scale,
                                         scales[k], bias[k]));
            }
        }
}

#endif
