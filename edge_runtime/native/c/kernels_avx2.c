/* Kernels for AVX2 with FMA: 8 outputs in a register.
 *
 * vpmaddubsw multiplies unsigned by signed bytes and adds pairs in 16 bits: |x| by the weight with the
 * sign of x. 2 * 128 * 127 fits; a weight of -128 would not, and has the plain kernel (`wide`). */
#include <immintrin.h>

#define ER_MOST_ROWS 2
#include "tiles.h"

/* Up to `left` of 16 results of `size` bytes each. */
static inline void store(uint8_t *out, const void *results, uint32_t left, uint32_t size)
{
    memcpy(out, results, (left < 16 ? left : 16) * size);
}

static inline __m256i load(const uint8_t *place) { return _mm256_loadu_si256((const __m256i *)place); }

/* Four bytes of a row, in every place. */
static inline __m256i four_bytes(const uint8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    return _mm256_set1_epi32(four);
}

/* er_rescale without a shift to the left, for 8 sums. */
static inline __m256i rescaled(__m256i x, __m256i mults, __m256i shifts)
{
    const __m256i rounding = _mm256_set1_epi64x(1 << 30);
    const __m256i even = _mm256_add_epi64(_mm256_mul_epi32(x, mults), rounding);
    const __m256i odd = _mm256_add_epi64(
        _mm256_mul_epi32(_mm256_srli_epi64(x, 32), _mm256_srli_epi64(mults, 32)), rounding);
    const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(even, 31), _mm256_add_epi64(odd, odd), 0xAA);
    const __m256i half = _mm256_srli_epi32(_mm256_sllv_epi32(_mm256_set1_epi32(1), shifts), 1);
    const __m256i down = _mm256_and_si256(_mm256_srai_epi32(high, 31),
                                          _mm256_cmpgt_epi32(shifts, _mm256_setzero_si256()));
    return _mm256_srav_epi32(_mm256_add_epi32(_mm256_add_epi32(high, half), down), shifts);
}

/* int8 sums of R rows and B blocks of 16 outputs, without bias. */
ER_INLINE void sum_s8(const int R, const int B, uint32_t block, const er_matmul *p, const uint8_t *plan,
                      const uint8_t *const *x, __m256i acc[32])
{
    const uint32_t quads = (p->in + 3) / 4;
    size_t step;
    const uint8_t *w = er_weights(p, plan, block, quads, 64, &step);
    const __m256i ones = _mm256_set1_epi16(1);
#define START(I) __m256i s##I = _mm256_setzero_si256();
    ER_REPEAT(START)
#undef START
#define STEP(I)                                                                                           \
    if (I < 2 * R * B) {                                                                                  \
        const __m256i weights = load(w + I / R * 32);                                                     \
        const __m256i signed_weights = _mm256_sign_epi8(weights, values[I % R]);                          \
        const __m256i pairs = _mm256_maddubs_epi16(magnitudes[I % R], signed_weights);                    \
        s##I = _mm256_add_epi32(s##I, _mm256_madd_epi16(pairs, ones));                                    \
    }
    for (uint32_t k = 0; k < quads; k++, w += step) {
        __m256i values[ER_MOST_ROWS], magnitudes[ER_MOST_ROWS];
        for (int r = 0; r < R; r++) {
            values[r] = four_bytes(x[r] + 4 * k);
            magnitudes[r] = _mm256_abs_epi8(values[r]);
        }
        ER_REPEAT(STEP)
    }
#undef STEP
#define END(I) acc[I] = s##I;
    ER_REPEAT(END)
#undef END
}

ER_INLINE __m256i result_s8(const er_tile *t, __m256i sums, size_t place)
{
    const er_matmul *p = t->p;
    const __m256i total = _mm256_add_epi32(sums, load(t->plan + p->bias + place));
    const __m256i found = rescaled(total, load(t->plan + p->mults + place), load(t->plan + p->shifts + place));
    const __m256i moved = _mm256_add_epi32(found, _mm256_set1_epi32(p->zero));
    return _mm256_max_epi32(_mm256_min_epi32(moved, _mm256_set1_epi32(p->high)), _mm256_set1_epi32(p->low));
}

ER_INLINE void tile_s8(const int R, const int B, uint32_t block, const er_tile *t)
{
    __m256i acc[32];
    sum_s8(R, B, block, t->p, t->plan, t->rows->x, acc);
    for (int i = 0; i < R * B; i++) {
        const int r = i % R, b = i / R;
        const size_t first = 16 * (size_t)(block + b);
        const __m256i low = result_s8(t, acc[2 * b * R + r], 4 * first);
        const __m256i high = result_s8(t, acc[(2 * b + 1) * R + r], 4 * first + 32);
        const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
        const __m128i bytes =
            _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        store(t->rows->out[r] + first, &bytes, t->p->out - (uint32_t)first, 1);
    }
}

ER_TILED_MATMUL(matmul_s8, tile_s8, er_plain_matmul_s8, 4, 2, 1)

/* er_matmul_result_s16 for 4 sums, as 64-bit integers within the limits. AVX2 has neither a product of 64
 * bits nor an arithmetic shift of them: the one comes from two halves, the other from a logical shift of
 * numbers that were made positive. */
ER_INLINE __m256i result_s16(const er_tile *t, __m128i sums, size_t place)
{
    const er_matmul *p = t->p;
    const __m256i mults = _mm256_cvtepi32_epi64(_mm_loadu_si128((const __m128i *)(t->plan + p->mults + 4 * place)));
    const __m256i shifts =
        _mm256_cvtepi32_epi64(_mm_loadu_si128((const __m128i *)(t->plan + p->shifts + 4 * place)));
    const __m256i total = _mm256_add_epi64(_mm256_cvtepi32_epi64(sums), load(t->plan + p->bias + 8 * place));
    const __m256i upper = _mm256_slli_epi64(_mm256_mul_epu32(_mm256_srli_epi64(total, 32), mults), 32);
    const __m256i product = _mm256_add_epi64(_mm256_mul_epu32(total, mults), upper);
    const __m256i half = _mm256_srli_epi64(_mm256_sllv_epi64(_mm256_set1_epi64x(1), shifts), 1);
    const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
    const __m256i positive = _mm256_xor_si256(_mm256_add_epi64(product, half), sign);
    const __m256i found =
        _mm256_sub_epi64(_mm256_srlv_epi64(positive, shifts), _mm256_srlv_epi64(sign, shifts));
    const __m256i low = _mm256_set1_epi64x(p->low), high = _mm256_set1_epi64x(p->high);
    const __m256i above = _mm256_blendv_epi8(found, high, _mm256_cmpgt_epi64(found, high));
    return _mm256_blendv_epi8(above, low, _mm256_cmpgt_epi64(low, above));
}

ER_INLINE void tile_s16(const int R, const int B, uint32_t block, const er_tile *t)
{
    const er_matmul *p = t->p;
    const uint32_t pairs = (p->in + 1) / 2;
    size_t step;
    const uint8_t *w = er_weights(p, t->plan, block, pairs, 32, &step);
    __m256i acc[32];
#define START(I) __m256i s##I = _mm256_setzero_si256();
    ER_REPEAT(START)
#undef START
#define STEP(I)                                                                                           \
    if (I < 2 * R * B) {                                                                                  \
        const __m128i bytes = _mm_load_si128((const __m128i *)(w + I / R * 16));                          \
        const __m256i weights = _mm256_cvtepi8_epi16(bytes);                                              \
        s##I = _mm256_add_epi32(s##I, _mm256_madd_epi16(values[I % R], weights));                         \
    }
    for (uint32_t k = 0; k < pairs; k++, w += step) {
        __m256i values[ER_MOST_ROWS];
        for (int r = 0; r < R; r++)
            values[r] = four_bytes(t->rows->x[r] + 4 * k);
        ER_REPEAT(STEP)
    }
#undef STEP
#define END(I) acc[I] = s##I;
    ER_REPEAT(END)
#undef END
    for (int i = 0; i < R * B; i++) {
        const int r = i % R, b = i / R;
        const __m256i both[2] = {acc[2 * b * R + r], acc[(2 * b + 1) * R + r]};
        const size_t first = 16 * (size_t)(block + b);
        int64_t wide[16];
        int16_t results[16];
        for (int h = 0; h < 4; h++) {
            const __m256i sums = both[h / 2];
            const __m128i four = h % 2 ? _mm256_extracti128_si256(sums, 1) : _mm256_castsi256_si128(sums);
            _mm256_storeu_si256((__m256i *)(wide + 4 * h), result_s16(t, four, first + 4 * h));
        }
        for (int k = 0; k < 16; k++)
            results[k] = (int16_t)wide[k];
        store(t->rows->out[r] + 2 * first, results, p->out - (uint32_t)first, 2);
    }
}

ER_TILED_MATMUL(matmul_s16, tile_s16, er_plain_matmul_s16, 4, 2, 1)

/* er_relu where the matmul has one. */
static inline __m256 limited(const er_matmul *p, __m256 x)
{
    if (p->high != 1)
        return x;
    return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_LE_OQ), x);
}

static inline __m256 load_floats(const uint8_t *place) { return _mm256_loadu_ps((const float *)place); }

ER_INLINE void tile_f32(const int R, const int B, uint32_t block, const er_tile *t)
{
    const er_matmul *p = t->p;
    size_t step;
    const uint8_t *w = er_weights(p, t->plan, block, p->in, 64, &step);
    __m256 acc[32];
#define START(I) __m256 s##I = _mm256_setzero_ps();
    ER_REPEAT(START)
#undef START
#define STEP(I)                                                                                           \
    if (I < 2 * R * B) {                                                                                  \
        const __m256 weights = load_floats(w + I / R * 32);                                               \
        s##I = _mm256_fmadd_ps(values[I % R], weights, s##I);                                             \
    }
    for (uint32_t k = 0; k < p->in; k++, w += step) {
        __m256 values[ER_MOST_ROWS];
        for (int r = 0; r < R; r++)
            values[r] = _mm256_set1_ps(((const float *)t->rows->x[r])[k]);
        ER_REPEAT(STEP)
    }
#undef STEP
#define END(I) acc[I] = s##I;
    ER_REPEAT(END)
#undef END
    for (int i = 0; i < R * B; i++) {
        const int r = i % R, b = i / R;
        const __m256 both[2] = {acc[2 * b * R + r], acc[(2 * b + 1) * R + r]};
        const size_t first = 16 * (size_t)(block + b);
        float results[16];
        for (int h = 0; h < 2; h++) {
            const __m256 bias = load_floats(t->plan + p->bias + 4 * first + 32 * h);
            _mm256_storeu_ps(results + 8 * h, limited(p, _mm256_add_ps(both[h], bias)));
        }
        store(t->rows->out[r] + 4 * first, results, p->out - (uint32_t)first, 4);
    }
}

ER_TILED_MATMUL(matmul_f32, tile_f32, er_plain_matmul_f32, 4, 2, 1)

ER_INLINE void tile_hybrid(const int R, const int B, uint32_t block, const er_tile *t)
{
    const er_matmul *p = t->p;
    __m256i acc[32];
    sum_s8(R, B, block, p, t->plan, t->rows->x, acc);
    for (int i = 0; i < R * B; i++) {
        const int r = i % R, b = i / R;
        const __m256i both[2] = {acc[2 * b * R + r], acc[(2 * b + 1) * R + r]};
        const size_t first = 16 * (size_t)(block + b);
        const er_row row = t->quantized[r];
        float results[16];
        for (int h = 0; h < 2; h++) {
            const size_t place = 4 * first + 32 * h;
            const __m256i offset =
                _mm256_mullo_epi32(load(t->plan + p->shifts + place), _mm256_set1_epi32(row.zero_point));
            const __m256 sum = _mm256_cvtepi32_ps(_mm256_sub_epi32(both[h], offset));
            const __m256 scale =
                _mm256_mul_ps(_mm256_set1_ps(row.scale), load_floats(t->plan + p->mults + place));
            const __m256 bias = load_floats(t->plan + p->bias + place);
            _mm256_storeu_ps(results + 8 * h, limited(p, _mm256_add_ps(_mm256_mul_ps(sum, scale), bias)));
        }
        store(t->rows->out[r] + 4 * first, results, p->out - (uint32_t)first, 4);
    }
}

ER_TILED_HYBRID_MATMUL(matmul_hybrid, tile_hybrid, 4, 2, 1)

const er_kernels er_kernels_avx2 = {
    "avx2",
    ER_BLOCKS,
    {ER_ELEMENTWISE, [ER_MATMUL_S8] = matmul_s8, [ER_MATMUL_S16] = matmul_s16,
     [ER_MATMUL_F32] = matmul_f32, [ER_MATMUL_HYBRID] = matmul_hybrid},
};
