/* Kernels for AVX-512 with VNNI and VBMI: 16 outputs in a register, four products added in one
 * instruction. VNNI multiplies unsigned by signed bytes, so x is read as x + 128. */
#include <immintrin.h>

#include "tiles.h"

static inline __mmask16 mask_of(const er_matmul *p, uint32_t block)
{
    const uint32_t left = p->out - 16 * block;
    return left >= 16 ? 0xFFFF : (__mmask16)((1u << left) - 1);
}

/* Four bytes of a row, in every place. */
static inline __m512i four_bytes(const uint8_t *x)
{
    int32_t four;
    memcpy(&four, x, 4);
    return _mm512_set1_epi32(four);
}

/* er_rescale without a shift to the left, for 16 sums. */
static inline __m512i rescaled(__m512i x, __m512i mults, __m512i shifts)
{
    const __m512i rounding = _mm512_set1_epi64(1 << 30);
    const __m512i even = _mm512_add_epi64(_mm512_mul_epi32(x, mults), rounding);
    const __m512i odd = _mm512_add_epi64(
        _mm512_mul_epi32(_mm512_srli_epi64(x, 32), _mm512_srli_epi64(mults, 32)), rounding);
    const __m512i high =
        _mm512_mask_blend_epi32(0xAAAA, _mm512_srli_epi64(even, 31), _mm512_add_epi64(odd, odd));
    const __m512i half = _mm512_srli_epi32(_mm512_sllv_epi32(_mm512_set1_epi32(1), shifts), 1);
    const __mmask16 down = _mm512_movepi32_mask(high) & _mm512_test_epi32_mask(shifts, shifts);
    const __m512i sum = _mm512_add_epi32(high, half);
    return _mm512_srav_epi32(_mm512_mask_sub_epi32(sum, down, sum, _mm512_set1_epi32(1)), shifts);
}

/* int8 sums of R rows and B blocks, without bias. */
ER_INLINE void sum_s8(const int R, const int B, uint32_t block, const er_matmul *p, const uint8_t *plan,
                      const uint8_t *const *x, __m512i acc[32])
{
    const uint32_t quads = (p->in + 3) / 4;
    size_t step;
    const uint8_t *w = er_weights(p, plan, block, quads, 64, &step);
    const __m512i offset = _mm512_set1_epi8(-128);
#define START(I) __m512i s##I = _mm512_setzero_si512();
    ER_REPEAT(START)
#undef START
#define STEP(I)                                                                                           \
    if (I < R * B) {                                                                                      \
        s##I = _mm512_dpbusd_epi32(s##I, values[I % R], _mm512_load_si512(w + I / R * 64));               \
    }
    for (uint32_t k = 0; k < quads; k++, w += step) {
        __m512i values[ER_MOST_ROWS];
        for (int r = 0; r < R; r++)
            values[r] = _mm512_xor_si512(four_bytes(x[r] + 4 * k), offset);
        ER_REPEAT(STEP)
    }
#undef STEP
#define END(I) acc[I] = s##I;
    ER_REPEAT(END)
#undef END
}

ER_INLINE void tile_s8(const int R, const int B, uint32_t block, const er_tile *t)
{
    const er_matmul *p = t->p;
    __m512i acc[32];
    sum_s8(R, B, block, p, t->plan, t->rows->x, acc);
    const __m512i zero = _mm512_set1_epi32(p->zero);
    const __m512i low = _mm512_set1_epi32(p->low), high = _mm512_set1_epi32(p->high);
    for (int i = 0; i < R * B; i++) {
        const uint32_t b = block + i / R;
        const size_t place = 64 * (size_t)b;
        const __m512i bias = _mm512_loadu_si512(t->plan + p->bias + place);
        const __m512i mults = _mm512_loadu_si512(t->plan + p->mults + place);
        const __m512i shifts = _mm512_loadu_si512(t->plan + p->shifts + place);
        __m512i found = rescaled(_mm512_add_epi32(acc[i], bias), mults, shifts);
        found = _mm512_add_epi32(found, zero);
        found = _mm512_max_epi32(_mm512_min_epi32(found, high), low);
        _mm512_mask_cvtepi32_storeu_epi8(t->rows->out[i % R] + 16 * (size_t)b, mask_of(p, b), found);
    }
}

ER_TILED_MATMUL(matmul_s8, tile_s8, er_plain_matmul_s8, 8, 8, 4)

ER_INLINE __m256i result_s16(const er_matmul *p, const uint8_t *plan, __m512i acc, uint32_t block)
{
    const __m512i low = _mm512_set1_epi64(p->low), high = _mm512_set1_epi64(p->high);
    __m128i halves[2];
    for (int h = 0; h < 2; h++) {
        const size_t place = 16 * (size_t)block + 8 * h;
        const __m256i sums = h ? _mm512_extracti64x4_epi64(acc, 1) : _mm512_castsi512_si256(acc);
        const __m512i bias = _mm512_loadu_si512(plan + p->bias + 8 * place);
        const __m512i mults =
            _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(plan + p->mults + 4 * place)));
        const __m512i shifts =
            _mm512_cvtepi32_epi64(_mm256_loadu_si256((const __m256i *)(plan + p->shifts + 4 * place)));
        const __m512i half = _mm512_srli_epi64(_mm512_sllv_epi64(_mm512_set1_epi64(1), shifts), 1);
        const __m512i total = _mm512_add_epi64(_mm512_cvtepi32_epi64(sums), bias);
        __m512i found = _mm512_add_epi64(_mm512_mullo_epi64(total, mults), half);
        found = _mm512_srav_epi64(found, shifts);
        halves[h] = _mm512_cvtepi64_epi16(_mm512_max_epi64(_mm512_min_epi64(found, high), low));
    }
    return _mm256_set_m128i(halves[1], halves[0]);
}

ER_INLINE void tile_s16(const int R, const int B, uint32_t block, const er_tile *t)
{
    const er_matmul *p = t->p;
    const uint32_t pairs = (p->in + 1) / 2;
    size_t step;
    const uint8_t *w = er_weights(p, t->plan, block, pairs, 32, &step);
    __m512i acc[32];
#define START(I) __m512i s##I = _mm512_setzero_si512();
    ER_REPEAT(START)
#undef START
#define STEP(I)                                                                                           \
    if (I < R * B) {                                                                                      \
        const __m256i bytes = _mm256_load_si256((const __m256i *)(w + I / R * 32));                       \
        s##I = _mm512_dpwssd_epi32(s##I, values[I % R], _mm512_cvtepi8_epi16(bytes));                     \
    }
    for (uint32_t k = 0; k < pairs; k++, w += step) {
        __m512i values[ER_MOST_ROWS];
        for (int r = 0; r < R; r++)
            values[r] = four_bytes(t->rows->x[r] + 4 * k);
        ER_REPEAT(STEP)
    }
#undef STEP
#define END(I) acc[I] = s##I;
    ER_REPEAT(END)
#undef END
    for (int i = 0; i < R * B; i++) {
        const uint32_t b = block + i / R;
        _mm256_mask_storeu_epi16(t->rows->out[i % R] + 32 * (size_t)b, mask_of(p, b),
                                 result_s16(p, t->plan, acc[i], b));
    }
}

ER_TILED_MATMUL(matmul_s16, tile_s16, er_plain_matmul_s16, 8, 8, 4)

/* er_relu where the matmul has one. */
static inline __m512 limited(const er_matmul *p, __m512 x)
{
    const __mmask16 clipped = p->high == 1 ? _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LE_OQ) : 0;
    return _mm512_mask_mov_ps(x, clipped, _mm512_setzero_ps());
}

ER_INLINE void tile_f32(const int R, const int B, uint32_t block, const er_tile *t)
{
    const er_matmul *p = t->p;
    size_t step;
    const uint8_t *w = er_weights(p, t->plan, block, p->in, 64, &step);
    __m512 acc[32];
#define START(I) __m512 s##I = _mm512_setzero_ps();
    ER_REPEAT(START)
#undef START
#define STEP(I)                                                                                           \
    if (I < R * B) {                                                                                      \
        s##I = _mm512_fmadd_ps(values[I % R], _mm512_load_ps(w + I / R * 64), s##I);                      \
    }
    for (uint32_t k = 0; k < p->in; k++, w += step) {
        __m512 values[ER_MOST_ROWS];
        for (int r = 0; r < R; r++)
            values[r] = _mm512_set1_ps(((const float *)t->rows->x[r])[k]);
        ER_REPEAT(STEP)
    }
#undef STEP
#define END(I) acc[I] = s##I;
    ER_REPEAT(END)
#undef END
    for (int i = 0; i < R * B; i++) {
        const uint32_t b = block + i / R;
        const __m512 bias = _mm512_loadu_ps(t->plan + p->bias + 64 * (size_t)b);
        _mm512_mask_storeu_ps(t->rows->out[i % R] + 64 * (size_t)b, mask_of(p, b),
                              limited(p, _mm512_add_ps(acc[i], bias)));
    }
}

ER_TILED_MATMUL(matmul_f32, tile_f32, er_plain_matmul_f32, 8, 8, 4)

ER_INLINE void tile_hybrid(const int R, const int B, uint32_t block, const er_tile *t)
{
    const er_matmul *p = t->p;
    __m512i acc[32];
    sum_s8(R, B, block, p, t->plan, t->rows->x, acc);
    for (int i = 0; i < R * B; i++) {
        const uint32_t b = block + i / R;
        const size_t place = 64 * (size_t)b;
        const __m512 bias = _mm512_loadu_ps(t->plan + p->bias + place);
        const __m512 scales = _mm512_loadu_ps(t->plan + p->mults + place);
        const __m512i sums = _mm512_loadu_si512(t->plan + p->shifts + place);
        const er_row row = t->quantized[i % R];
        const __m512i offset = _mm512_mullo_epi32(sums, _mm512_set1_epi32(row.zero_point + 128));
        const __m512 sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(acc[i], offset));
        const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(row.scale), scales);
        const __m512 found = _mm512_add_ps(_mm512_mul_ps(sum, scale), bias);
        _mm512_mask_storeu_ps(t->rows->out[i % R] + place, mask_of(p, b), limited(p, found));
    }
}

ER_TILED_HYBRID_MATMUL(matmul_hybrid, tile_hybrid, 8, 8, 4)

static void lookup_s8(ER_ARGUMENTS)
{
    const er_map *p = params;
    const uint8_t *table = plan + p->table;
    const __m512i t0 = _mm512_loadu_si512(table), t1 = _mm512_loadu_si512(table + 64);
    const __m512i t2 = _mm512_loadu_si512(table + 128), t3 = _mm512_loadu_si512(table + 192);
    ER_EACH_ROW(p, {
        for (uint32_t i = 0; i < p->width; i += 64) {
            const uint32_t left = p->width - i;
            const __mmask64 mask = left >= 64 ? ~0ull : (1ull << left) - 1;
            const __m512i x = _mm512_maskz_loadu_epi8(mask, row0 + i);
            const __m512i low = _mm512_permutex2var_epi8(t0, x, t1);
            const __m512i high = _mm512_permutex2var_epi8(t2, x, t3);
            const __m512i found = _mm512_mask_blend_epi8(_mm512_movepi8_mask(x), low, high);
            _mm512_mask_storeu_epi8(result + i, mask, found);
        }
    })
}

#undef ER_OWN_LOOKUP_S8
#define ER_OWN_LOOKUP_S8 lookup_s8

const er_kernels er_kernels_avx512 = {
    "avx512-vnni",
    ER_BLOCKS_UNSIGNED,
    {ER_ELEMENTWISE, [ER_MATMUL_S8] = matmul_s8, [ER_MATMUL_S16] = matmul_s16,
     [ER_MATMUL_F32] = matmul_f32, [ER_MATMUL_HYBRID] = matmul_hybrid},
};
