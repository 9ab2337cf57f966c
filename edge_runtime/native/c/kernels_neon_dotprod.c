/* Kernels for NEON with dot products (SDOT): Cortex-A76 (Raspberry Pi 5) and Apple's CPUs.
 *
 * Weights are in blocks of 16 rows: 64 bytes hold 4 values of each row, so one instruction makes 16
 * products, 4 for each of 4 rows, with 4 activations that are a part of a register. The blocks of a
 * group meet all windows before the next group does. */
#include "neon.h"
#include "tiles.h"

typedef struct {
    int32x4_t a, b, c, d; /* of 4 rows each */
} er_sums;

/* Adds the products of 4 activations, a quarter of x, to 16 sums, and moves the weights on. */
#define ER_ADD_QUARTER(S, X, QUARTER, W, DISTANCE)                                                        \
    do {                                                                                                  \
        const int8x16x4_t weights = vld1q_s8_x4(W);                                                       \
        (S).a = vdotq_laneq_s32((S).a, weights.val[0], X, QUARTER);                                       \
        (S).b = vdotq_laneq_s32((S).b, weights.val[1], X, QUARTER);                                       \
        (S).c = vdotq_laneq_s32((S).c, weights.val[2], X, QUARTER);                                       \
        (S).d = vdotq_laneq_s32((S).d, weights.val[3], X, QUARTER);                                       \
        (W) += (DISTANCE);                                                                                \
        ER_IN_ORDER(W);                                                                                   \
    } while (0)

#define ER_ADD_16(S, X, W, DISTANCE)                                                                      \
    do {                                                                                                  \
        ER_ADD_QUARTER(S, X, 0, W, DISTANCE);                                                             \
        ER_ADD_QUARTER(S, X, 1, W, DISTANCE);                                                             \
        ER_ADD_QUARTER(S, X, 2, W, DISTANCE);                                                             \
        ER_ADD_QUARTER(S, X, 3, W, DISTANCE);                                                             \
    } while (0)

/* Adds the products of a block to s. Its `quarters` times 4 values are `step` bytes apart. Activations past
 * the end meet zeros. */
ER_INLINE er_sums er_block_s8(er_sums s, const int8_t *x, const int8_t *w, size_t step, uint32_t quarters)
{
    for (uint32_t k = quarters / 8; k > 0; k--, x += 32) {
        const int8x16_t first = vld1q_s8(x), second = vld1q_s8(x + 16);
        ER_ADD_16(s, first, w, step);
        ER_ADD_16(s, second, w, step);
    }
    if (quarters & 4) {
        const int8x16_t values = vld1q_s8(x);
        ER_ADD_16(s, values, w, step);
        x += 16;
    }
    if (quarters & 3) {
        const int8x16_t values = vld1q_s8(x);
        ER_ADD_QUARTER(s, values, 0, w, step);
        if (quarters & 2)
            ER_ADD_QUARTER(s, values, 1, w, step);
        if ((quarters & 3) == 3)
            ER_ADD_QUARTER(s, values, 2, w, step);
    }
    return s;
}

ER_INLINE er_sums er_sums_from(const int32_t *values)
{
    const er_sums s = {vld1q_s32(values), vld1q_s32(values + 4), vld1q_s32(values + 8), vld1q_s32(values + 12)};
    return s;
}

/* The results of `outs` rows, the blocks of a group, for one window. */
ER_INLINE void er_group_s8(er_ending e, const int8_t *x, const int8_t *w, size_t step, uint32_t quarters,
                           uint32_t outs, int8_t *results)
{
    for (uint32_t k = outs / 16; k > 0; k--, w += 64, results += 16) {
        const er_sums s = er_block_s8(er_sums_from(e.bias), x, w, step, quarters);
        vst1q_s8(results, er_results_s8(&e, 0, s.a, s.b, s.c, s.d));
        e = er_ending_from(e, 16);
    }
    if (outs % 16) {
        const er_sums s = er_block_s8(er_sums_from(e.bias), x, w, step, quarters);
        er_store_some_s8(results, er_results_s8(&e, 0, s.a, s.b, s.c, s.d), outs % 16);
    }
}

static void er_dot_matmul_s8(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    if (p->wide) {
        er_plain_matmul_s8(in0, in1, out, params, plan, lanes);
        return;
    }
    const er_ending ending = er_ending_of(p, plan);
    const uint32_t quarters = (p->in + 3) / 4;
    for (uint32_t first = 0; first < p->out; first += 128) {
        const uint32_t outs = p->out - first < 128 ? p->out - first : 128;
        size_t step;
        const int8_t *w = (const int8_t *)er_weights(p, plan, first / 16, quarters, 64, &step);
        for (uint32_t lane = 0; lane < lanes->count; lane++)
            for (uint32_t row = 0; row < p->rows; row++) {
                const int8_t *x = (const int8_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
                int8_t *results = (int8_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
                er_group_s8(er_ending_from(ending, first), x, w, step, quarters, outs, results + first);
            }
    }
}

ER_INLINE void er_store_sums(int32_t sums[16], er_sums s)
{
    vst1q_s32(sums, s.a);
    vst1q_s32(sums + 4, s.b);
    vst1q_s32(sums + 8, s.c);
    vst1q_s32(sums + 12, s.d);
}

static void er_dot_matmul_hybrid(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    if (p->wide) {
        er_plain_matmul_hybrid(in0, in1, out, params, plan, lanes);
        return;
    }
    const uint32_t quarters = (p->in + 3) / 4, blocks = (p->out + 15) / 16;
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const float *x = (const float *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            float *results = (float *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            int8_t *q = (int8_t *)(in1 + lane * lanes->stride1);
            const er_row found = er_row_of(x, (int32_t)p->in);
            er_row_quantize_all(x, (int32_t)p->in, found, q);
            for (uint32_t block = 0; block < blocks; block++) {
                size_t step;
                const int8_t *w = (const int8_t *)er_weights(p, plan, block, quarters, 64, &step);
                const int32x4_t zeros = vdupq_n_s32(0);
                const er_sums none = {zeros, zeros, zeros, zeros};
                int32_t sums[16];
                er_store_sums(sums, er_block_s8(none, q, w, step, quarters));
                er_neon_results_hybrid(p, plan, 16 * block, found, sums, results);
            }
        }
}

/* The sums of a block of 16 rows of int16 products. Weights are in pairs: 32 bytes hold 2 values of each
 * row. Sums of the first and second values of pairs alternate, until both are added at the end. */
ER_INLINE er_sums er_block_s16(const int16_t *x, const int8_t *w, size_t step, uint32_t pairs)
{
    int32x4_t s[8] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0),
                      vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    for (uint32_t k = 0; k < pairs; k++, x += 2, w += step) {
        int32_t pair;
        memcpy(&pair, x, sizeof pair);
        const int16x8_t values = vreinterpretq_s16_s32(vdupq_n_s32(pair));
        const int8x16_t first = vld1q_s8(w), second = vld1q_s8(w + 16);
        const int16x8_t w0 = vmovl_s8(vget_low_s8(first)), w1 = vmovl_high_s8(first);
        const int16x8_t w2 = vmovl_s8(vget_low_s8(second)), w3 = vmovl_high_s8(second);
        s[0] = vmlal_s16(s[0], vget_low_s16(values), vget_low_s16(w0));
        s[1] = vmlal_high_s16(s[1], values, w0);
        s[2] = vmlal_s16(s[2], vget_low_s16(values), vget_low_s16(w1));
        s[3] = vmlal_high_s16(s[3], values, w1);
        s[4] = vmlal_s16(s[4], vget_low_s16(values), vget_low_s16(w2));
        s[5] = vmlal_high_s16(s[5], values, w2);
        s[6] = vmlal_s16(s[6], vget_low_s16(values), vget_low_s16(w3));
        s[7] = vmlal_high_s16(s[7], values, w3);
    }
    const er_sums found = {vpaddq_s32(s[0], s[1]), vpaddq_s32(s[2], s[3]), vpaddq_s32(s[4], s[5]),
                           vpaddq_s32(s[6], s[7])};
    return found;
}

static void er_dot_matmul_s16(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    if (p->wide) {
        er_plain_matmul_s16(in0, in1, out, params, plan, lanes);
        return;
    }
    const uint32_t pairs = (p->in + 1) / 2;
    for (uint32_t o = 0; o < p->out; o += 16) {
        size_t step;
        const int8_t *w = (const int8_t *)er_weights(p, plan, o / 16, pairs, 32, &step);
        for (uint32_t lane = 0; lane < lanes->count; lane++)
            for (uint32_t row = 0; row < p->rows; row++) {
                const int16_t *x = (const int16_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
                int16_t *results = (int16_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
                int32_t sums[16];
                er_store_sums(sums, er_block_s16(x, w, step, pairs));
                for (uint32_t k = 0; k < 16 && o + k < p->out; k++)
                    results[o + k] = er_matmul_result_s16(p, plan, o + k, sums[k]);
            }
    }
}

typedef struct {
    float32x4_t a, b, c, d; /* of 4 rows each */
} er_float_sums;

/* Adds the products of one activation, a part of x, to 16 sums, and goes on to the next weights. */
#define ER_ADD_ONE(S, X, PART, W, STEP)                                                                   \
    do {                                                                                                  \
        const float32x4x4_t weights = vld1q_f32_x4(W);                                                    \
        (S).a = vfmaq_laneq_f32((S).a, weights.val[0], X, PART);                                          \
        (S).b = vfmaq_laneq_f32((S).b, weights.val[1], X, PART);                                          \
        (S).c = vfmaq_laneq_f32((S).c, weights.val[2], X, PART);                                          \
        (S).d = vfmaq_laneq_f32((S).d, weights.val[3], X, PART);                                          \
        (W) += (STEP);                                                                                    \
        ER_IN_ORDER(W);                                                                                   \
    } while (0)

/* The sums of a block of 16 float32 rows, whose 16 values for each activation are `step` apart. Each row has
 * two sums, since the CPU can begin several additions before the first is done. */
ER_INLINE er_float_sums er_block_f32(const float *x, const float *w, size_t step, uint32_t in)
{
    const float32x4_t zeros = vdupq_n_f32(0);
    er_float_sums even = {zeros, zeros, zeros, zeros}, odd = even;
    for (uint32_t k = in / 4; k > 0; k--, x += 4) {
        const float32x4_t values = vld1q_f32(x);
        ER_ADD_ONE(even, values, 0, w, step);
        ER_ADD_ONE(odd, values, 1, w, step);
        ER_ADD_ONE(even, values, 2, w, step);
        ER_ADD_ONE(odd, values, 3, w, step);
    }
    for (uint32_t k = in % 4; k > 0; k--, x++) {
        const float32x4_t value = vdupq_n_f32(*x);
        ER_ADD_ONE(even, value, 0, w, step);
    }
    const er_float_sums found = {vaddq_f32(even.a, odd.a), vaddq_f32(even.b, odd.b), vaddq_f32(even.c, odd.c),
                                 vaddq_f32(even.d, odd.d)};
    return found;
}

static void er_dot_matmul_f32(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const uint32_t outs = p->out;
    (void)in1;
    for (uint32_t o = 0; o < outs; o += 16) {
        size_t step;
        const float *w = (const float *)er_weights(p, plan, o / 16, p->in, 64, &step);
        const float *bias = (const float *)(plan + p->bias) + o;
        for (uint32_t lane = 0; lane < lanes->count; lane++)
            for (uint32_t row = 0; row < p->rows; row++) {
                const float *x = (const float *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
                float *results = (float *)(out + lane * lanes->stride + (size_t)row * p->pitch) + o;
                const er_float_sums s = er_block_f32(x, w, step / sizeof(float), p->in);
                float some[16];
                float *to = outs - o < 16 ? some : results;
                vst1q_f32(to, vaddq_f32(s.a, vld1q_f32(bias)));
                vst1q_f32(to + 4, vaddq_f32(s.b, vld1q_f32(bias + 4)));
                vst1q_f32(to + 8, vaddq_f32(s.c, vld1q_f32(bias + 8)));
                vst1q_f32(to + 12, vaddq_f32(s.d, vld1q_f32(bias + 12)));
                if (p->low == 0 && p->high == 1)
                    for (uint32_t k = 0; k < 16; k++)
                        to[k] = er_relu(to[k]);
                if (to == some)
                    memcpy(results, some, (outs - o) * sizeof(float));
            }
    }
}

const er_kernels er_kernels_neon_dotprod = {
    "neon-dotprod",
    ER_BLOCKS,
    {ER_NEON_ELEMENTWISE, [ER_MATMUL_S8] = er_dot_matmul_s8, [ER_MATMUL_S16] = er_dot_matmul_s16,
     [ER_MATMUL_F32] = er_dot_matmul_f32, [ER_MATMUL_HYBRID] = er_dot_matmul_hybrid},
};
