/* Matmuls for Arm's DSP instructions: Cortex-M4, M7, M33 and others with __ARM_FEATURE_DSP.
 *
 * SMLAD adds two products of 16 bits. SXTB16 makes two such values of the bytes 0 and 2 of a word, and
 * with a rotation of the bytes 1 and 3; x and the weights are taken apart alike. Four rows of the matrix
 * are read at once, so that x is taken apart once for four results. Rows are padded with zeros to 16
 * values, and x is followed by memory that may be read, so that there is no rest. */
#ifndef ER_KERNELS_CORTEX_M_DSP_H
#define ER_KERNELS_CORTEX_M_DSP_H

#include "matmul_plain.h"

/* Adds to SUM the products of the values in `even` and `odd` with four weights. */
#define ER_ADD_PRODUCTS(SUM, ADDRESS)                                                                     \
    "ldr %[word], " ADDRESS "\n"                                                                          \
    "sxtb16 %[two], %[word]\n"                                                                            \
    "smlad " SUM ", %[even], %[two], " SUM "\n"                                                           \
    "sxtb16 %[two], %[word], ror #8\n"                                                                    \
    "smlad " SUM ", %[odd], %[two], " SUM "\n"
/* The next four values of x, of 8 and of 16 bits. */
#define ER_TAKE_APART_S8                                                                                  \
    "ldr %[word], [%[x]], #4\n"                                                                           \
    "sxtb16 %[even], %[word]\n"                                                                           \
    "sxtb16 %[odd], %[word], ror #8\n"
#define ER_TAKE_APART_S16                                                                                 \
    "ldr %[word], [%[x]], #4\n"                                                                           \
    "ldr %[two], [%[x]], #4\n"                                                                            \
    "pkhbt %[even], %[word], %[two], lsl #16\n"                                                           \
    "pkhtb %[odd], %[two], %[word], asr #16\n"

#define ER_FOUR_ROWS(TAKE_APART)                                                                          \
    TAKE_APART ER_ADD_PRODUCTS("%[s1]", "[%[weights], %[pitch]]")                                         \
        ER_ADD_PRODUCTS("%[s2]", "[%[weights], %[pitch], lsl #1]")                                        \
            ER_ADD_PRODUCTS("%[s3]", "[%[fourth]], #4") ER_ADD_PRODUCTS("%[s0]", "[%[weights]], #4")

/* Defines NAME(x, weights, pitch, in, sums): the sums of four rows of the matrix that are `pitch` bytes apart; and
 * NAME_one(x, weights, in): that of one row. In assembly, since GCC neither puts the rotation into the instruction nor
 * keeps all of this in registers. */
#define ER_DSP_SUMS(NAME, TYPE, TAKE_APART)                                                               \
    static inline void NAME(const TYPE *x, const int8_t *weights, size_t pitch, uint32_t in,              \
                            int32_t sums[4])                                                              \
    {                                                                                                     \
        const int8_t *fourth = weights + 3 * pitch;                                                       \
        int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;                                                           \
        uint32_t word, even, odd, two;                                                                    \
        for (uint32_t i = 0; i < in; i += 16)                                                             \
            __asm__(ER_FOUR_ROWS(TAKE_APART) ER_FOUR_ROWS(TAKE_APART) ER_FOUR_ROWS(TAKE_APART)            \
                        ER_FOUR_ROWS(TAKE_APART)                                                          \
                    : [x] "+r"(x), [weights] "+r"(weights), [fourth] "+r"(fourth), [s0] "+r"(s0),         \
                      [s1] "+r"(s1), [s2] "+r"(s2), [s3] "+r"(s3), [word] "=&r"(word),                    \
                      [even] "=&r"(even), [odd] "=&r"(odd), [two] "=&r"(two)                              \
                    : [pitch] "r"(pitch)                                                                  \
                    : "memory");                                                                          \
        sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;                                           \
    }                                                                                                     \
    static inline int32_t NAME##_one(const TYPE *x, const int8_t *weights, uint32_t in)                   \
    {                                                                                                     \
        int32_t sum = 0;                                                                                  \
        uint32_t word, even, odd, two;                                                                    \
        for (uint32_t i = 0; i < in; i += 4)                                                              \
            __asm__(TAKE_APART ER_ADD_PRODUCTS("%[sum]", "[%[weights]], #4")                              \
                    : [x] "+r"(x), [weights] "+r"(weights), [sum] "+r"(sum), [word] "=&r"(word),          \
                      [even] "=&r"(even), [odd] "=&r"(odd), [two] "=&r"(two)                              \
                    :                                                                                     \
                    : "memory");                                                                          \
        return sum;                                                                                       \
    }

ER_DSP_SUMS(er_dsp_sums_s8, int8_t, ER_TAKE_APART_S8)
ER_DSP_SUMS(er_dsp_sums_s16, int16_t, ER_TAKE_APART_S16)

/* For each row of each lane: RESULT of `sum`, that of x with row `k` of the matrix. */
#define ER_DSP_MATMUL(SUMS, RESULT)                                                                       \
    do {                                                                                                  \
        uint32_t o = 0;                                                                                   \
        for (; o + 4 <= p->out; o += 4) {                                                                 \
            int32_t sums[4];                                                                              \
            SUMS(x, weights + o * pitch, pitch, p->in, sums);                                             \
            for (uint32_t k = o; k < o + 4; k++) {                                                        \
                const int32_t sum = sums[k - o];                                                          \
                results[k] = RESULT;                                                                      \
            }                                                                                             \
        }                                                                                                 \
        for (uint32_t k = o; k < p->out; k++) {                                                           \
            const int32_t sum = SUMS##_one(x, weights + k * pitch, p->in);                                \
            results[k] = RESULT;                                                                          \
        }                                                                                                 \
    } while (0)

static inline void er_dsp_matmul_s8(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    const int32_t *bias = (const int32_t *)(plan + p->bias);
    const size_t pitch = er_padded(p->in);
    if (p->wide) {
        er_plain_matmul_s8(in0, in1, out, params, plan, lanes);
        return;
    }
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const int8_t *x = (const int8_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            int8_t *results = (int8_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            ER_DSP_MATMUL(er_dsp_sums_s8, er_matmul_result_s8(p, plan, k, sum + bias[k]));
        }
}

static inline void er_dsp_matmul_s16(ER_ARGUMENTS)
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
            ER_DSP_MATMUL(er_dsp_sums_s16, er_matmul_result_s16(p, plan, k, sum));
        }
}

static inline void er_dsp_matmul_hybrid(ER_ARGUMENTS)
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
            const float *values = (const float *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            float *results = (float *)(out + lane * lanes->stride + (size_t)row * p->pitch);
            int8_t *x = (int8_t *)(in1 + lane * lanes->stride1);
            const er_row found = er_row_of(values, (int32_t)p->in);
            er_row_quantize_all(values, (int32_t)p->in, found, x);
            ER_DSP_MATMUL(er_dsp_sums_s8,
                          er_matmul_result_f32(p, er_row_result((float)(sum - found.zero_point * row_sums[k]),
                                                                found.scale, scales[k], bias[k])));
        }
}

#endif
