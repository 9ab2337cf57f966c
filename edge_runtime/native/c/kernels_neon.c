/* Kernels for NEON without dot products: Cortex-A53 and A72 (Raspberry Pi 3 and 4), and 32-bit ARM.
 *
 * Weights are in rows. 16 products take a load, two long multiplications and an addition of pairs. On aarch64
 * a row of activations stays in registers: rows of usual lengths have a function each that knows the length. */
#include "neon.h"

/* The sums of four rows of any length. */
static inline int32x4_t er_four_long_rows_s8(const int8_t *x, const int8_t *w, size_t length)
{
    const int8_t *w1 = w + length, *w2 = w1 + length, *w3 = w2 + length;
    int32x4_t s0 = vdupq_n_s32(0), s1 = s0, s2 = s0, s3 = s0;
    for (size_t i = 0; i < length; i += 16) {
        const int8x16_t values = vld1q_s8(x + i);
        s0 = vpadalq_s16(s0, er_products(values, vld1q_s8(w + i)));
        s1 = vpadalq_s16(s1, er_products(values, vld1q_s8(w1 + i)));
        s2 = vpadalq_s16(s2, er_products(values, vld1q_s8(w2 + i)));
        s3 = vpadalq_s16(s3, er_products(values, vld1q_s8(w3 + i)));
    }
    return er_four_sums(s0, s1, s2, s3);
}

/* The sums of the rows from `o` on, up to 16 of them. The last four rows are summed together, whether or
 * not some of them have been before: so sums may begin 3 places early. */
#define ER_EARLY 3
static void er_sums_of_rows(const int8_t *x, const int8_t *weights, size_t length, uint32_t o, uint32_t out,
                            int32_t sums[16 + ER_EARLY])
{
    if (out - o < 16)
        memset(sums, 0, (16 + ER_EARLY) * sizeof(int32_t));
    const uint32_t end = out - o < 16 ? out : o + 16;
    for (uint32_t k = o; k < end; k += 4) {
        const uint32_t row = k < out - 4 ? k : out - 4;
        vst1q_s32(sums + ER_EARLY + row - o, er_four_long_rows_s8(x, weights + row * length, length));
    }
}

/* The rows from `o` on, for all windows. */
static void er_rest_of_matmul_s8(const uint8_t *in0, uint8_t *out, const er_matmul *p, const uint8_t *plan,
                                 const er_lanes *lanes, uint32_t o)
{
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    const er_ending e = er_ending_of(p, plan);
    for (; o < p->out; o += 16)
        for (uint32_t lane = 0; lane < lanes->count; lane++)
            for (uint32_t row = 0; row < p->rows; row++) {
                const int8_t *x = (const int8_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
                int8_t *results = (int8_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
                int32_t room[16 + ER_EARLY];
                const int32_t *sums = room + ER_EARLY;
                er_sums_of_rows(x, weights, er_padded(p->in), o, p->out, room);
                const int8x16_t found = er_biased_results_s8(&e, o, vld1q_s32(sums), vld1q_s32(sums + 4),
                                                      vld1q_s32(sums + 8), vld1q_s32(sums + 12));
                if (p->out - o < 16)
                    er_store_some_s8(results + o, found, p->out - o);
                else
                    vst1q_s8(results + o, found);
            }
}

#if defined(__aarch64__)
/* The next loads come after these sums: registers do not suffice for all loads at once. */
#define ER_SUM_IN_ORDER(A) __asm__ volatile("" : "+w"(A) : : "memory")
#define ER_SUMS_IN_ORDER(A, B) __asm__ volatile("" : "+w"(A), "+w"(B) : : "memory")

/* The longest rows of activations that stay in registers. */
#define ER_LONGEST 192

/* Groups of 16 rows that meet all windows before the next ones do, so that windows find them in the first
 * level of the cache, which has 32 kB. */
#define ER_TOGETHER 8

/* The sums of the next four rows of `*next`, of `length` values. `x`: the activations in registers. 64 bytes
 * of weights are loaded while those before are multiplied. */
ER_INLINE int32x4_t er_four_rows_s8(const int8x16_t *x, const int8_t **next, size_t length)
{
    const int8_t *w = *next;
    const size_t vectors = length / 16;
    int32x4_t s[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
    int8x16x4_t following = er_64_bytes(w);
    w += 64;
    ER_IN_ORDER(w);
    ER_UNROLL
    for (size_t k = 0; k < 4 * vectors; k += 4) {
        const int8x16x4_t weights = following;
        if (k + 4 < 4 * vectors) {
            following = er_64_bytes(w);
            w += 64;
            ER_IN_ORDER(w);
        }
        ER_UNROLL
        for (size_t n = k; n < k + 4; n++)
            s[n / vectors] = vpadalq_s16(s[n / vectors], er_products(x[n % vectors], weights.val[n - k]));
        if (k / vectors == (k + 3) / vectors)
            ER_SUM_IN_ORDER(s[k / vectors]);
        else
            ER_SUMS_IN_ORDER(s[k / vectors], s[(k + 3) / vectors]);
    }
    *next = w;
    return er_four_sums(s[0], s[1], s[2], s[3]);
}

/* All rows that make up groups of 16, where `length` is known to the compiler. */
ER_INLINE void er_matmul_of_length(const uint8_t *in0, uint8_t *out, const er_matmul *p, const uint8_t *plan,
                                   const er_lanes *lanes, size_t length)
{
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    const er_ending ending = er_ending_of(p, plan);
    const size_t groups = p->out / 16;
    for (size_t first = 0; first < groups; first += ER_TOGETHER) {
        const size_t end = groups - first < ER_TOGETHER ? groups : first + ER_TOGETHER;
        for (uint32_t lane = 0; lane < lanes->count; lane++)
            for (uint32_t row = 0; row < p->rows; row++) {
                const int8_t *x = (const int8_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
                int8_t *results = (int8_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
                const int8_t *w = weights + first * 16 * length;
                for (size_t group = first; group < end; group++) {
                    int8x16_t values[ER_LONGEST / 16];
                    ER_UNROLL
                    for (size_t k = 0; k < length / 16; k++)
                        values[k] = vld1q_s8(x + 16 * k);
                    const int32x4_t a = er_four_rows_s8(values, &w, length);
                    const int32x4_t b = er_four_rows_s8(values, &w, length);
                    const int32x4_t c = er_four_rows_s8(values, &w, length);
                    const int32x4_t d = er_four_rows_s8(values, &w, length);
                    vst1q_s8(results + 16 * group, er_biased_results_s8(&ending, 16 * group, a, b, c, d));
                }
            }
    }
}

#define ER_OF_LENGTH(LENGTH)                                                                              \
    static void er_matmul_s8_##LENGTH(const uint8_t *in0, uint8_t *out, const er_matmul *p,               \
                                      const uint8_t *plan, const er_lanes *lanes)                         \
    {                                                                                                     \
        er_matmul_of_length(in0, out, p, plan, lanes, LENGTH);                                            \
    }
ER_OF_LENGTH(16)
ER_OF_LENGTH(32)
ER_OF_LENGTH(48)
ER_OF_LENGTH(64)
ER_OF_LENGTH(80)
ER_OF_LENGTH(96)
ER_OF_LENGTH(112)
ER_OF_LENGTH(128)
ER_OF_LENGTH(144)
ER_OF_LENGTH(160)
ER_OF_LENGTH(176)
ER_OF_LENGTH(192)

typedef void (*er_matmul_s8_of_length)(const uint8_t *in0, uint8_t *out, const er_matmul *p,
                                       const uint8_t *plan, const er_lanes *lanes);
static const er_matmul_s8_of_length OF_LENGTH[] = {
    er_matmul_s8_16,  er_matmul_s8_32,  er_matmul_s8_48,  er_matmul_s8_64,  er_matmul_s8_80,  er_matmul_s8_96,
    er_matmul_s8_112, er_matmul_s8_128, er_matmul_s8_144, er_matmul_s8_160, er_matmul_s8_176, er_matmul_s8_192,
};
#endif

static void er_neon_matmul_s8(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    uint32_t done = 0;
    if (p->wide || p->out < 4) {
        er_plain_matmul_s8(in0, in1, out, params, plan, lanes);
        return;
    }
#if defined(__aarch64__)
    const size_t length = er_padded(p->in);
    if (length <= ER_LONGEST) {
        OF_LENGTH[length / 16 - 1](in0, out, p, plan, lanes);
        done = p->out / 16 * 16;
    }
#endif
    if (done < p->out)
        er_rest_of_matmul_s8(in0, out, p, plan, lanes, done);
}

static void er_neon_matmul_hybrid(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const int8_t *weights = (const int8_t *)(plan + p->weights);
    if (p->wide || p->out < 4) {
        er_plain_matmul_hybrid(in0, in1, out, params, plan, lanes);
        return;
    }
    for (uint32_t lane = 0; lane < lanes->count; lane++)
        for (uint32_t row = 0; row < p->rows; row++) {
            const float *x = (const float *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
            int8_t *q = (int8_t *)(in1 + lane * lanes->stride1);
            const er_row found = er_row_of(x, (int32_t)p->in);
            er_row_quantize_all(x, (int32_t)p->in, found, q);
            for (uint32_t o = 0; o < p->out; o += 16) {
                int32_t room[16 + ER_EARLY];
                er_sums_of_rows(q, weights, er_padded(p->in), o, p->out, room);
                er_neon_results_hybrid(p, plan, o, found, room + ER_EARLY,
                                       (float *)(out + lane * lanes->stride + (size_t)row * p->pitch));
            }
        }
}

/* The sum of a row of int16 activations and a row of weights; the activations past the end meet zeros. */
ER_INLINE int32x4_t er_add_products_s16(int32x4_t sum, int16x8_t x0, int16x8_t x1, const int8_t *w)
{
    const int8x16_t values = vld1q_s8(w);
    const int16x8_t w0 = vmovl_s8(vget_low_s8(values)), w1 = vmovl_s8(vget_high_s8(values));
    sum = vmlal_s16(sum, vget_low_s16(x0), vget_low_s16(w0));
    sum = vmlal_s16(sum, vget_high_s16(x0), vget_high_s16(w0));
    sum = vmlal_s16(sum, vget_low_s16(x1), vget_low_s16(w1));
    return vmlal_s16(sum, vget_high_s16(x1), vget_high_s16(w1));
}

static void er_neon_matmul_s16(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const size_t length = er_padded(p->in);
    if (p->wide || p->out < 4) {
        er_plain_matmul_s16(in0, in1, out, params, plan, lanes);
        return;
    }
    for (uint32_t k = 0; k < p->out; k += 4) {
        const uint32_t o = k < p->out - 4 ? k : p->out - 4;
        const int8_t *w0 = (const int8_t *)(plan + p->weights) + o * length;
        const int8_t *w1 = w0 + length, *w2 = w1 + length, *w3 = w2 + length;
        for (uint32_t lane = 0; lane < lanes->count; lane++)
            for (uint32_t row = 0; row < p->rows; row++) {
                const int16_t *x = (const int16_t *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
                int16_t *results = (int16_t *)(out + lane * lanes->stride + (size_t)row * p->pitch);
                int32x4_t s0 = vdupq_n_s32(0), s1 = s0, s2 = s0, s3 = s0;
                for (size_t i = 0; i < length; i += 16) {
                    const int16x8_t x0 = vld1q_s16(x + i), x1 = vld1q_s16(x + i + 8);
                    s0 = er_add_products_s16(s0, x0, x1, w0 + i);
                    s1 = er_add_products_s16(s1, x0, x1, w1 + i);
                    s2 = er_add_products_s16(s2, x0, x1, w2 + i);
                    s3 = er_add_products_s16(s3, x0, x1, w3 + i);
                }
                int32_t sums[4];
                vst1q_s32(sums, er_four_sums(s0, s1, s2, s3));
                for (uint32_t n = 0; n < 4; n++)
                    results[o + n] = er_matmul_result_s16(p, plan, o + n, sums[n]);
            }
    }
}

#if defined(__aarch64__)
/* Adds 16 products to the sum of a row, where FIRST does the first ones, and goes on to the row's next values. */
#define ER_ADD_16_F32(FIRST, SUM, X, W)                                                                   \
    do {                                                                                                  \
        const float32x4x4_t weights = vld1q_f32_x4(W);                                                    \
        SUM = FIRST(SUM, (X).val[0], weights.val[0]);                                                     \
        SUM = vfmaq_f32(SUM, (X).val[1], weights.val[1]);                                                 \
        SUM = vfmaq_f32(SUM, (X).val[2], weights.val[2]);                                                 \
        SUM = vfmaq_f32(SUM, (X).val[3], weights.val[3]);                                                 \
        (W) += 16;                                                                                        \
        ER_IN_ORDER(W);                                                                                   \
    } while (0)
#define ER_ONLY(SUM, X, W) vmulq_f32(X, W)

#define ER_ADD_16_OF_EIGHT_ROWS(FIRST, X)                                                                 \
    do {                                                                                                  \
        const float32x4x4_t some = vld1q_f32_x4(X);                                                       \
        ER_ADD_16_F32(FIRST, s0, some, w);                                                                \
        ER_ADD_16_F32(FIRST, s1, some, w1);                                                               \
        ER_SUMS_IN_ORDER(s0, s1);                                                                         \
        ER_ADD_16_F32(FIRST, s2, some, w2);                                                               \
        ER_ADD_16_F32(FIRST, s3, some, w3);                                                               \
        ER_SUMS_IN_ORDER(s2, s3);                                                                         \
        ER_ADD_16_F32(FIRST, s4, some, w4);                                                               \
        ER_ADD_16_F32(FIRST, s5, some, w5);                                                               \
        ER_SUMS_IN_ORDER(s4, s5);                                                                         \
        ER_ADD_16_F32(FIRST, s6, some, w6);                                                               \
        ER_ADD_16_F32(FIRST, s7, some, w7);                                                               \
        ER_SUMS_IN_ORDER(s6, s7);                                                                         \
    } while (0)

typedef struct {
    float32x4_t low, high;
} er_eight;

/* The sums of eight rows, `length` values apart. `rest`: the last 16 activations, with zeros past the end. */
ER_INLINE er_eight er_eight_rows_f32(const float *x, const float *rest, const float *w, size_t length)
{
    const float *w1 = w + length, *w2 = w1 + length, *w3 = w2 + length, *w4 = w3 + length;
    const float *w5 = w4 + length, *w6 = w5 + length, *w7 = w6 + length;
    float32x4_t s0, s1, s2, s3, s4, s5, s6, s7;
    const float *values = length == 16 ? rest : x;
    ER_ADD_16_OF_EIGHT_ROWS(ER_ONLY, values);
    for (size_t k = 32; k < length; k += 16) {
        x += 16;
        ER_ADD_16_OF_EIGHT_ROWS(vfmaq_f32, x);
    }
    if (length > 16)
        ER_ADD_16_OF_EIGHT_ROWS(vfmaq_f32, rest);
    const er_eight found = {vpaddq_f32(vpaddq_f32(s0, s1), vpaddq_f32(s2, s3)),
                            vpaddq_f32(vpaddq_f32(s4, s5), vpaddq_f32(s6, s7))};
    return found;
}

/* Rows of weights that meet all windows before the next ones do. */
#define ER_FLOATS_TOGETHER 32

static void er_neon_matmul_f32(ER_ARGUMENTS)
{
    const er_matmul *p = params;
    const size_t length = er_padded(p->in), outs = p->out, whole = (length - 16) * sizeof(float);
    const float *weights = (const float *)(plan + p->weights), *bias = (const float *)(plan + p->bias);
    if (outs < 8) {
        er_plain_matmul_f32(in0, in1, out, params, plan, lanes);
        return;
    }
    for (size_t first = 0; first < outs; first += ER_FLOATS_TOGETHER) {
        const size_t end = outs - first < ER_FLOATS_TOGETHER ? outs : first + ER_FLOATS_TOGETHER;
        for (uint32_t lane = 0; lane < lanes->count; lane++)
            for (uint32_t row = 0; row < p->rows; row++) {
                const float *x = (const float *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0);
                float *results = (float *)(out + lane * lanes->stride + (size_t)row * p->pitch);
                float rest[16] = {0};
                memcpy(rest, (const uint8_t *)x + whole, p->in * sizeof(float) - whole);
                for (size_t k = first; k < end; k += 8) {
                    /* The last eight rows are summed together, whether or not some have been before. */
                    const size_t o = k < outs - 8 ? k : outs - 8;
                    const er_eight sums = er_eight_rows_f32(x, rest, weights + o * length, length);
                    vst1q_f32(results + o, vaddq_f32(sums.low, vld1q_f32(bias + o)));
                    vst1q_f32(results + o + 4, vaddq_f32(sums.high, vld1q_f32(bias + o + 4)));
                }
                if (end == outs && p->low == 0 && p->high == 1)
                    for (size_t o = 0; o < outs; o++)
                        results[o] = er_relu(results[o]);
            }
    }
}
#define ER_MATMUL_F32_KERNEL er_neon_matmul_f32
#else
#define ER_MATMUL_F32_KERNEL er_plain_matmul_f32
#endif

const er_kernels er_kernels_neon = {
    "neon",
    ER_ROWS,
    {ER_NEON_ELEMENTWISE, [ER_MATMUL_S8] = er_neon_matmul_s8, [ER_MATMUL_S16] = er_neon_matmul_s16,
     [ER_MATMUL_F32] = ER_MATMUL_F32_KERNEL, [ER_MATMUL_HYBRID] = er_neon_matmul_hybrid},
};
