/* Matmuls for Helium (MVE): Cortex-M55, M85 and others with __ARM_FEATURE_MVE. */
#ifndef ER_MATMUL_MVE_H
#define ER_MATMUL_MVE_H

#include "matmul_plain.h"

#include <arm_mve.h>

/* The sums of `rows` rows of the matrix, at most four, that are `pitch` bytes apart. Rows are padded with
 * zeros to 16 values, and x is followed by memory that may be read, so that there is no rest. */
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

/* er_rescale of four values with shifts to the right alone: VQRDMULH is er_high; VRSHL rounds ties upwards,
 * so negative values that are shifted lose 1 before. */
static inline int32x4_t er_mve_rescale(int32x4_t x, int32x4_t mult, int32x4_t right)
{
    const int32x4_t high = vqrdmulhq_s32(x, mult), left = vnegq_s32(right);
    const int32x4_t fix = vshrq_n_s32(vandq_s32(high, left), 31);
    return vrshlq_s32(vqaddq_s32(high, fix), left);
}

static inline int32x4_t er_mve_clip(int32x4_t x, int32_t low, int32_t high)
{
    return vmaxq_s32(vminq_s32(x, vdupq_n_s32(high)), vdupq_n_s32(low));
}

static void er_mve_matmul_s8(ER_ARGUMENTS)
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
                sums = er_mve_rescale(sums, vldrwq_s32(mults + o), vldrwq_s32(shifts + o));
                sums = er_mve_clip(vaddq_n_s32(sums, p->zero), p->low, p->high);
                vstrbq_p_s32(results + o, sums, vctp32q(rest));
            }
        }
}

#endif
