/* Matmuls in plain C on matrices in rows. Four rows are read at once, so that each value of x is loaded
 * once for four results and sums do not wait for each other. Every set of kernels has them, for the few
 * matrices that its own matmuls are not made for (`wide`). */
#ifndef ER_MATMUL_PLAIN_H
#define ER_MATMUL_PLAIN_H

#include "elementwise.h"

/* Values from one row of a matrix to the next. */
static inline size_t er_padded(uint32_t in) { return ((size_t)in + 15) / 16 * 16; }

static inline int8_t er_matmul_result_s8(const er_matmul *p, const uint8_t *plan, uint32_t o, int32_t sum)
{
    const int32_t mult = ((const int32_t *)(plan + p->mults))[o];
    const int32_t right = ((const int32_t *)(plan + p->shifts))[o];
    return (int8_t)er_clip(er_rescale(sum, mult, 0, right) + p->zero, p->low, p->high);
}

/* Sums in 64 bits, and shifts to the left as well: a negative shift. */
static inline int8_t er_wide_result_s8(const er_matmul *p, const uint8_t *plan, uint32_t o, int64_t sum)
{
    const int32_t mult = ((const int32_t *)(plan + p->mults))[o];
    const int32_t right = ((const int32_t *)(plan + p->shifts))[o];
    const int64_t scaled = er_rescale_wide(sum, mult, er_max_s32(-right, 0), er_max_s32(right, 0)) + p->zero;
    return (int8_t)(scaled < p->low ? p->low : scaled > p->high ? p->high : scaled);
}

static inline void er_plain_matmul_s8(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    const int32_t *bias = (const int32_t *)(plan + p->bias);
    const size_t pitch = er_padded(p->in);
    (void)in1;
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const int8_t *x = (const int8_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            int8_t *results = (int8_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            uint32_t o = 0;
            for (; p->wide && o < p->out; o++) {
                int64_t sum = bias[o];
                for (uint32_t i = 0; i < p->in; i++)
                    sum += x[i] * weights[o * pitch + i];
                results[o] = er_wide_result_s8(p, plan, o, sum);
            }
            for (; o + 4 <= p->out; o += 4) {
                const int8_t *w = weights + o * pitch;
                int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
                for (uint32_t i = 0; i < p->in; i++) {
                    s0 += x[i] * w[i];
                    s1 += x[i] * w[i + pitch];
                    s2 += x[i] * w[i + 2 * pitch];
                    s3 += x[i] * w[i + 3 * pitch];
                }
                results[o] = er_matmul_result_s8(p, plan, o, s0 + bias[o]);
                results[o + 1] = er_matmul_result_s8(p, plan, o + 1, s1 + bias[o + 1]);
                results[o + 2] = er_matmul_result_s8(p, plan, o + 2, s2 + bias[o + 2]);
                results[o + 3] = er_matmul_result_s8(p, plan, o + 3, s3 + bias[o + 3]);
            }
            for (; o < p->out; o++) {
                const int8_t *w = weights + o * pitch;
                int32_t sum = 0;
                for (uint32_t i = 0; i < p->in; i++)
                    sum += x[i] * w[i];
                results[o] = er_matmul_result_s8(p, plan, o, sum + bias[o]);
            }
        }
}

static inline int16_t er_matmul_result_s16(const er_matmul *p, const uint8_t *plan, uint32_t o, int64_t sum)
{
    const int64_t factor = ((const int32_t *)(plan + p->mults))[o];
    const int32_t shift = ((const int32_t *)(plan + p->shifts))[o];
    /* Biases may have any 64 bits. What exceeds them wraps, as in numpy. */
    const uint64_t total = (uint64_t)sum + (uint64_t)((const int64_t *)(plan + p->bias))[o];
    const int64_t scaled = (int64_t)(total * (uint64_t)factor + ((uint64_t)1 << (shift - 1))) >> shift;
    return (int16_t)(scaled < p->low ? p->low : scaled > p->high ? p->high : scaled);
}

static inline void er_plain_matmul_s16(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    const size_t pitch = er_padded(p->in);
    (void)in1;
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const int16_t *x = (const int16_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            int16_t *results = (int16_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            for (uint32_t o = 0; o < p->out; o++) {
                const int8_t *w = weights + o * pitch;
                int64_t sum = 0;
                if (p->wide)
                    for (uint32_t i = 0; i < p->in; i++)
                        sum += x[i] * w[i];
                else {
                    int32_t narrow = 0;
                    for (uint32_t i = 0; i < p->in; i++)
                        narrow += x[i] * w[i];
                    sum = narrow;
                }
                results[o] = er_matmul_result_s16(p, plan, o, sum);
            }
        }
}

static inline float er_matmul_result_f32(const er_matmul *p, float value)
{
    return p->low == 0 && p->high == 1 && value <= 0 ? 0.0f : value;
}

static inline void er_plain_matmul_f32(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const float *weights = (const float *)(plan + p->weights);
    const float *bias = (const float *)(plan + p->bias);
    const size_t pitch = er_padded(p->in);
    (void)in1;
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const float *x = (const float *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            float *results = (float *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            uint32_t o = 0;
            for (; o + 4 <= p->out; o += 4) {
                const float *w = weights + o * pitch;
                float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
                for (uint32_t i = 0; i < p->in; i++) {
                    s0 += x[i] * w[i];
                    s1 += x[i] * w[i + pitch];
                    s2 += x[i] * w[i + 2 * pitch];
                    s3 += x[i] * w[i + 3 * pitch];
                }
                results[o] = er_matmul_result_f32(p, s0 + bias[o]);
                results[o + 1] = er_matmul_result_f32(p, s1 + bias[o + 1]);
                results[o + 2] = er_matmul_result_f32(p, s2 + bias[o + 2]);
                results[o + 3] = er_matmul_result_f32(p, s3 + bias[o + 3]);
            }
            for (; o < p->out; o++) {
                const float *w = weights + o * pitch;
                float sum = 0;
                for (uint32_t i = 0; i < p->in; i++)
                    sum += x[i] * w[i];
                results[o] = er_matmul_result_f32(p, sum + bias[o]);
            }
        }
}

static inline void er_plain_matmul_hybrid(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    const float *bias = (const float *)(plan + p->bias);
    const float *scales = (const float *)(plan + p->mults);
    const int32_t *sums = (const int32_t *)(plan + p->shifts);
    const size_t pitch = er_padded(p->in);
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const float *x = (const float *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            float *results = (float *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            int8_t *q = (int8_t *)(in1 + lane * lanes->stride1);
            const er_row found = er_row_of(x, (int32_t)p->in);
            er_row_quantize_all(x, (int32_t)p->in, found, q);
            for (uint32_t o = 0; o < p->out; o++) {
                const int8_t *w = weights + o * pitch;
                float exact; /* the sum of integers, rounded once */
                if (p->wide) {
                    int64_t sum = 0;
                    for (uint32_t i = 0; i < p->in; i++)
                        sum += q[i] * w[i];
                    exact = (float)(sum - (int64_t)found.zero_point * sums[o]);
                } else {
                    int32_t sum = 0;
                    for (uint32_t i = 0; i < p->in; i++)
                        sum += q[i] * w[i];
                    exact = (float)(sum - found.zero_point * sums[o]);
                }
                const float value = er_row_result(exact, found.scale, scales[o], bias[o]);
                results[o] = er_matmul_result_f32(p, value);
            }
        }
}

#endif
