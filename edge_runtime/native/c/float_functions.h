/* The float functions of the engine, each an exact sequence of float32 operations.
 *
 * IEEE 754 defines +, -, *, / and the square root to the last bit, so these functions give the same
 * bits on every CPU, with every compiler and in vectors of any width; the numpy engine has the same
 * sequences (edge_runtime/numpy_engine: float_functions.py, hybrid_kernels.py and others), and
 * tests/unit/test_float_functions.py compares them. That needs -ffp-contract=off (no fused multiply-add) and forbids -ffast-math.
 *
 * All functions are free of branches and of calls: in a loop over an array, gcc and clang turn them
 * into vector instructions at -O3, given -fno-math-errno -fno-trapping-math. `a < b ? x : y` is written
 * so that NaN, for which every comparison is false, goes where the comment says.
 *
 * No result of er_exp or er_sigmoid is a denormal number, and no intermediate one: units that flush
 * denormals to zero (32-bit NEON) give the same bits.
 */
#ifndef EDGE_RNN_FLOAT_FUNCTIONS_H
#define EDGE_RNN_FLOAT_FUNCTIONS_H

#include <float.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "the engine's float functions need IEEE arithmetic: compile without -ffast-math"
#endif
#if defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 /* 16: _Float16 by itself */
#error "the engine's float functions need float32 arithmetic in float32 (i386: -msse2 -mfpmath=sse)"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

#define ER_SIGN_BIT UINT32_C(0x80000000)
#define ER_INFINITY_BITS UINT32_C(0x7f800000)
#define ER_NAN_BITS UINT32_C(0x7fc00000)
#define ER_FLOAT_MIN 0x1p-126f /* the smallest normal number */

/* Adding this to a float below 2^22 in magnitude, and subtracting it again, rounds to nearest, ties to
 * even. */
#define ER_ROUNDER 12582912.0f
/* The same, with 127 added, the bias of a float's exponent: the low bits of the sum are, shifted by 23,
 * the bits of 2^n. */
#define ER_EXPONENT_ROUNDER 12583039.0f
/* The largest float below 0.5. */
#define ER_BELOW_HALF 0x1.fffffep-2f

static inline uint32_t er_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float er_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* 2^f - 1 for f in [-0.5, 0.5]: a minimax polynomial of 2^f whose constant term is 1. */
static inline float er_exp2_minus_1(float f) {
    float p = 0x1.416b5ep-13f;
    p = p * f + 0x1.5f082ep-10f;
    p = p * f + 0x1.3b2de0p-7f;
    p = p * f + 0x1.c6af7cp-5f;
    p = p * f + 0x1.ebfbdcp-3f;
    p = p * f + 0x1.62e43p-1f;
    return p * f;
}

/* 1 / (1 + exp(-x)); 0 below -87.3, as for -infinity; NaN for NaN. */
static inline float er_sigmoid(float x) {
    float t = x * -0x1.715476p+0f; /* exp(-x) = 2^t */
    t = t < -100.0f ? -100.0f : t;
    t = t > 126.0f ? 128.0f : t; /* 2^128 is infinite */
    float rounded = t + ER_EXPONENT_ROUNDER;
    float f = t - (rounded - ER_EXPONENT_ROUNDER);
    float power = er_from_bits(er_bits(rounded) << 23);
    float e = (er_exp2_minus_1(f) + 1.0f) * power;
    return 1.0f / (e + 1.0f);
}

/* tanh(|x|) = (exp(2|x|) - 1) / (exp(2|x|) + 1), with the sign of x; NaN for NaN. */
static inline float er_tanh(float x) {
    uint32_t sign = er_bits(x) & ER_SIGN_BIT;
    float magnitude = er_from_bits(er_bits(x) ^ sign);
    float t = magnitude * 0x1.715476p+1f; /* exp(2|x|) = 2^t */
    t = t > 30.0f ? 30.0f : t;            /* tanh is 1 there */
    float rounded = t + ER_EXPONENT_ROUNDER;
    float f = t - (rounded - ER_EXPONENT_ROUNDER);
    float power = er_from_bits(er_bits(rounded) << 23);
    float e_minus_1 = er_exp2_minus_1(f) * power + (power - 1.0f);
    float result = e_minus_1 / (e_minus_1 + 2.0f);
    return er_from_bits(er_bits(result) | sign);
}

/* exp(x): 0 below -87.33, infinity above 88.72; NaN for NaN. Relative error below 1e-7. */
static inline float er_exp(float x) {
    float limited = x < -0x1.5d589ep+6f ? -0x1.5d589ep+6f : x;
    limited = limited > 0x1.62e42ep+6f ? 0x1.62e42ep+6f : limited;
    float n = (limited * 0x1.715476p+0f + ER_ROUNDER) - ER_ROUNDER;
    /* ln 2 in two parts; the first has so few bits that n times it is exact. */
    float r = (limited - n * 0x1.62ep-1f) - n * 0x1.0bfbe8p-15f;
    float p = 0x1.6b69fcp-10f; /* minimax, with the exact terms 1, r and r^2 / 2 */
    p = p * r + 0x1.122f2ep-7f;
    p = p * r + 0x1.55568cp-5f;
    p = p * r + 0x1.5554a4p-3f;
    p = p * r + 0.5f;
    p = (p * r) * r + r;
    p = p + 1.0f;
    /* n is up to 128 and 2^128 is infinite: two factors, 2^h and 2^(n - h). */
    float half = (n * 0.5f + ER_ROUNDER) - ER_ROUNDER;
    float first = er_from_bits(er_bits(half + ER_EXPONENT_ROUNDER) << 23);
    float second = er_from_bits(er_bits((n - half) + ER_EXPONENT_ROUNDER) << 23);
    float result = (p * first) * second;
    result = x < -0x1.5d589ep+6f ? 0.0f : result;
    return x > 0x1.62e42ep+6f ? er_from_bits(ER_INFINITY_BITS) : result;
}

/* max(x, 0), where -0 becomes 0 and NaN stays. */
static inline float er_relu(float x) { return x <= 0.0f ? 0.0f : x; }

/* x where it is not negative, else exp(x) - 1, also near 0; NaN for NaN. */
static inline float er_elu(float x) {
    float t = x * 0x1.715476p+0f; /* exp(x) = 2^t */
    t = t > 0.0f ? 0.0f : t;
    t = t < -100.0f ? -100.0f : t;
    float rounded = t + ER_EXPONENT_ROUNDER;
    float f = t - (rounded - ER_EXPONENT_ROUNDER);
    float power = er_from_bits(er_bits(rounded) << 23);
    float e_minus_1 = er_exp2_minus_1(f) * power + (power - 1.0f);
    return x < 0.0f ? e_minus_1 : x;
}

/* The smaller one, b if they are equal; NaN if one of them is NaN. */
static inline float er_minimum(float a, float b) {
    float smaller = a < b ? a : b; /* b, where b is NaN */
    return a != a ? a : smaller;
}

/* The larger one; NaN if one of them is NaN. */
static inline float er_max(float a, float b) {
    float larger = a > b ? a : b; /* b, where a is NaN */
    return a != a ? a : larger;
}

static inline float er_squared_difference(float a, float b) { return (a - b) * (a - b); }

/* 1 / sqrt(x). With -fno-math-errno the root is one instruction; a processor without one calls sqrtf. */
static inline float er_rsqrt(float x) { return 1.0f / __builtin_sqrtf(x); }

/* Softmax of `count` values; `out` may be `x`. */
static inline void er_softmax(const float *x, int32_t count, float *out) {
    float largest = x[0];
    for (int32_t k = 1; k < count; k++) largest = er_max(largest, x[k]);
    for (int32_t k = 0; k < count; k++) out[k] = er_exp(x[k] - largest);
    float sum = out[0];
    for (int32_t k = 1; k < count; k++) sum = sum + out[k];
    for (int32_t k = 0; k < count; k++) out[k] = out[k] / sum;
}

/* Means of `x` [count][inner] along the first axis, each summed in order; `out` [inner] is not in `x`. */
static inline void er_mean(const float *restrict x, int32_t count, int32_t inner, float *restrict out) {
    for (int32_t j = 0; j < inner; j++) out[j] = x[j];
    for (int32_t k = 1; k < count; k++) {
        const float *row = x + (size_t)k * (size_t)inner;
        for (int32_t j = 0; j < inner; j++) out[j] = out[j] + row[j];
    }
    for (int32_t j = 0; j < inner; j++) out[j] = out[j] / (float)count;
}

/* To nearest, half away from zero, for magnitudes up to 2^22. NaN is not allowed. */
static inline int32_t er_round_half_away(float x) {
    /* Adding 0.5 itself would round 0.49999997 up. */
    return (int32_t)(x + er_from_bits(er_bits(ER_BELOW_HALF) | (er_bits(x) & ER_SIGN_BIT)));
}

/* To nearest, ties to even, for magnitudes up to 2^22. */
static inline float er_round_half_even(float x) { return (x + ER_ROUNDER) - ER_ROUNDER; }

/* QUANTIZE: round(x / scale) + zero_point within [lowest, highest], both within int16; NaN gives lowest. */
static inline int32_t er_quantize(float x, float scale, int32_t zero_point, int32_t lowest,
                                  int32_t highest) {
    float steps = x / scale;
    steps = steps > -131072.0f ? steps : -131072.0f; /* beyond int16 with any zero_point */
    steps = steps < 131072.0f ? steps : 131072.0f;
    int32_t q = er_round_half_away(steps) + zero_point;
    q = q < lowest ? lowest : q;
    return q > highest ? highest : q;
}

/* DEQUANTIZE of an int8 or int16 value. */
static inline float er_dequantize(int32_t q, float scale, int32_t zero_point) {
    return ((float)q - (float)zero_point) * scale;
}

/* A float's bits as an integer in the order of the numbers: NaN beyond infinity, 0 for 0. Its own
 * inverse. Integers, so that a compiler may find the least and the largest in any order. */
static inline int32_t er_ordered(uint32_t bits) {
    return (int32_t)(bits ^ ((UINT32_C(0) - (bits >> 31)) >> 1));
}

/* How the hybrid matmul quantizes one row of float32 activations to int8. */
typedef struct {
    float scale;   /* NaN for a row with NaN or infinity: so become all results */
    float inverse; /* 1 / scale */
    int32_t zero_point;
} er_row;

/* For a row with the least and the largest value `low` <= 0 <= `high`
 * (TFLite: portable_tensor_utils.cc, PortableAsymmetricQuantizeFloats). */
static inline er_row er_row_of_range(float low, float high) {
    double scale = ((double)high - (double)low) / 255.0;
    if (!((float)scale >= ER_FLOAT_MIN)) { /* nothing but zeros, or nearly */
        er_row zeros = {1.0f, 1.0f, 0};
        return zeros;
    }
    double below = (double)low / scale, above = (double)high / scale;
    /* The end of the range whose zero_point loses less to rounding. */
    double zero = 128.0 - below < 127.0 + above ? -128.0 - below : 127.0 - above;
    zero = zero > -128.0 ? zero : -128.0;
    zero = zero < 127.0 ? zero : 127.0;
    er_row row;
    row.scale = (float)scale;
    row.inverse = 1.0f / row.scale;
    /* Half away from zero; the constant is the largest double below 0.5. */
    row.zero_point = (int32_t)(zero + (zero < 0 ? -0x1.fffffffffffffp-2 : 0x1.fffffffffffffp-2));
    return row;
}

static inline er_row er_row_of(const float *x, int32_t count) {
    int32_t lowest = 0, highest = 0; /* the range holds 0 */
    for (int32_t k = 0; k < count; k++) {
        int32_t ordered = er_ordered(er_bits(x[k]));
        lowest = ordered < lowest ? ordered : lowest;
        highest = ordered > highest ? ordered : highest;
    }
    int32_t infinity = (int32_t)ER_INFINITY_BITS;
    if (highest >= infinity || lowest <= -infinity - 1) {
        er_row undefined = {er_from_bits(ER_NAN_BITS), 0.0f, 0};
        return undefined;
    }
    float low = er_from_bits((uint32_t)er_ordered((uint32_t)lowest));
    return er_row_of_range(low, er_from_bits((uint32_t)highest));
}

/* One activation of the row as int8. */
static inline int32_t er_row_quantize(float x, float inverse, float zero_point) {
    float q = x * inverse + zero_point;
    q = q > -128.0f ? q : -128.0f; /* NaN, which only a row of scale NaN has, as well */
    q = q < 127.0f ? q : 127.0f;
    return er_round_half_away(q);
}

static inline void er_row_quantize_all(const float *restrict x, int32_t count, er_row row,
                                       int8_t *restrict q) {
    float inverse = row.inverse, zero_point = (float)row.zero_point;
    for (int32_t k = 0; k < count; k++) q[k] = (int8_t)er_row_quantize(x[k], inverse, zero_point);
}

/* One result of the hybrid matmul. `sum`: of (q - zero_point) * weight, as a float. */
static inline float er_row_result(float sum, float row_scale, float weight_scale, float bias) {
    return sum * (row_scale * weight_scale) + bias;
}

#endif
