/* Matmuls for Arm's DSP instructions: Cortex-M4, M7, M33 and others with __ARM_FEATURE_DSP.
 *
 * SMLAD adds two products of 16 bits. SXTB16 makes two such values of the bytes 0 and 2 of a word, and
 * with a rotation of the bytes 1 and 3; x and the weights are taken apart alike. Four rows of the matrix
 * are read at once, so that x is taken apart once for four results. Rows are padded with zeros to 16
 * values, and x is followed by memory that may be read, so that there is no rest. */
#ifndef ER_MATMUL_CORTEX_M_DSP_H
#define ER_MATMUL_CORTEX_M_DSP_H

#include "matmul_plain.h"

/* Adds to SUM the products of the values in `even` and `odd` with four weights. */
#define ER_ADD_PRODUCTS(SUM, ADDRESS)                                                                     \
    "ldr %[word], " ADDRESS "\n"                                                                          \
    "sxtb16 %[two], %[word]\n"                                                                            \
    "smlad " SUM ", %[even], %[two], " SUM "\n"                                                           \
    "sxtb16 %[two], %[word], ror #8\n"                                                                    \
    "smlad " SUM ", %[odd], %[two], " SUM "\n"
#define ER_TAKE_APART                                                                                     \
    "ldr %[word], [%[x]], #4\n"                                                                           \
    "sxtb16 %[even], %[word]\n"                                                                           \
    "sxtb16 %[odd], %[word], ror #8\n"

/* The sums of four rows of the matrix that are `pitch` bytes apart. In assembly, since GCC neither puts the
 * rotation into the instruction nor keeps all of this in registers. */
static inline void er_dsp_sums(const int8_t *x, const int8_t *weights, size_t pitch, uint32_t in,
                               int32_t sums[4])
{
    const int8_t *fourth = weights + 3 * pitch;
    int32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    uint32_t word, even, odd, two;
    for (uint32_t i = 0; i < in; i += 16)
        __asm__(".rept 4\n" ER_TAKE_APART ER_ADD_PRODUCTS("%[s1]", "[%[weights], %[pitch]]")
                    ER_ADD_PRODUCTS("%[s2]", "[%[weights], %[pitch], lsl #1]")
                        ER_ADD_PRODUCTS("%[s3]", "[%[fourth]], #4")
                            ER_ADD_PRODUCTS("%[s0]", "[%[weights]], #4") ".endr"
                : [x] "+r"(x), [weights] "+r"(weights), [fourth] "+r"(fourth), [s0] "+r"(s0), [s1] "+r"(s1),
                  [s2] "+r"(s2), [s3] "+r"(s3), [word] "=&r"(word), [even] "=&r"(even), [odd] "=&r"(odd),
                  [two] "=&r"(two)
                : [pitch] "r"(pitch)
                : "memory");
    sums[0] = s0, sums[1] = s1, sums[2] = s2, sums[3] = s3;
}

static inline int32_t er_dsp_sum(const int8_t *x, const int8_t *weights, uint32_t in)
{
    int32_t sum = 0;
    uint32_t word, even, odd, two;
    for (uint32_t i = 0; i < in; i += 4)
        __asm__(ER_TAKE_APART ER_ADD_PRODUCTS("%[sum]", "[%[weights]], #4")
                : [x] "+r"(x), [weights] "+r"(weights), [sum] "+r"(sum), [word] "=&r"(word),
                  [even] "=&r"(even), [odd] "=&r"(odd), [two] "=&r"(two)
                :
                : "memory");
    return sum;
}

static void er_dsp_matmul_s8(ER_ARGUMENTS)
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
            int32_t sums[4];
            uint32_t o = 0;
            for (; o + 4 <= p->out; o += 4) {
                er_dsp_sums(x, weights + o * pitch, pitch, p->in, sums);
                for (uint32_t k = 0; k < 4; k++)
                    results[o + k] = er_matmul_result_s8(p, plan, o + k, sums[k] + bias[o + k]);
            }
            for (; o < p->out; o++)
                results[o] =
                    er_matmul_result_s8(p, plan, o, er_dsp_sum(x, weights + o * pitch, p->in) + bias[o]);
        }
}

#endif
