/* Loops over arrays with the functions of edge_runtime/native/c, for tests/unit/test_float_functions.py. */

#include "float_functions.h"
#include "raw_windows.h"

/* 1 if this CPU runs AVX2 with FMA, 2 if AVX-512 as well, otherwise 0. */
int vectors(void) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 0;
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512dq")
               ? 2
               : 1;
#else
    return 0;
#endif
}

#define BY_VALUE(NAME)                                                                                  \
    void all_##NAME(const float *restrict x, int64_t count, float *restrict out) {                            \
        for (int64_t k = 0; k < count; k++) out[k] = er_##NAME(x[k]);                                   \
    }
BY_VALUE(exp)
BY_VALUE(sigmoid)
BY_VALUE(tanh)
BY_VALUE(rsqrt)
BY_VALUE(relu)
BY_VALUE(elu)

#define BY_TWO_VALUES(NAME)                                                                             \
    void all_##NAME(const float *restrict x, const float *restrict y, int64_t count, float *restrict out) {   \
        for (int64_t k = 0; k < count; k++) out[k] = er_##NAME(x[k], y[k]);                             \
    }
BY_TWO_VALUES(max)
BY_TWO_VALUES(squared_difference)
BY_TWO_VALUES(minimum)

void softmax(const float *x, int64_t rows, int32_t count, float *out) {
    for (int64_t k = 0; k < rows; k++) er_softmax(x + k * count, count, out + k * count);
}

void mean(const float *x, int32_t count, int32_t inner, float *out) { er_mean(x, count, inner, out); }

#define QUANTIZE(NAME, TYPE, LOWEST, HIGHEST)                                                           \
    void NAME(const float *restrict x, int64_t count, float scale, int32_t zero_point,                  \
              TYPE *restrict out) {                                                                     \
        for (int64_t k = 0; k < count; k++)                                                             \
            out[k] = (TYPE)er_quantize(x[k], scale, zero_point, LOWEST, HIGHEST);                       \
    }                                                                                                   \
    void de##NAME(const TYPE *restrict q, int64_t count, float scale, int32_t zero_point,               \
                  float *restrict out) {                                                                \
        for (int64_t k = 0; k < count; k++) out[k] = er_dequantize(q[k], scale, zero_point);            \
    }
QUANTIZE(quantize_int8, int8_t, -128, 127)
QUANTIZE(quantize_int16, int16_t, -32768, 32767)

/* The hybrid matmul, with weights [outputs][inputs] and a scale for each output. */
void hybrid(const float *x, int64_t rows, int32_t inputs, const int8_t *weights, int32_t outputs,
            const float *weight_scales, const float *bias, int8_t *q, float *scales, int32_t *zero_points,
            float *out) {
    for (int64_t n = 0; n < rows; n++, x += inputs, q += inputs) {
        er_row row = er_row_of(x, inputs);
        er_row_quantize_all(x, inputs, row, q);
        scales[n] = row.scale;
        zero_points[n] = row.zero_point;
        for (int32_t k = 0; k < outputs; k++) {
            int32_t sum = 0;
            for (int32_t j = 0; j < inputs; j++) {
                sum += (q[j] - row.zero_point) * weights[(int64_t)k * inputs + j];
            }
            *out++ = er_row_result(sum, row.scale, weight_scales[k], bias[k]);
        }
    }
}

/* `window` with its fields one by one, as ctypes passes them. */
#define FILL(NAME, RAW, OUT)                                                                            \
    int NAME(const RAW *raw, int32_t rows, int32_t features, const float *mean, int one_mean,           \
             const float *std, int one_std, float scale, int32_t zero_point, int32_t lowest,            \
             int32_t highest, OUT *out) {                                                               \
        er_window window = {mean,  std,        rows,   features, one_mean != 0, one_std != 0,           \
                            scale, zero_point, lowest, highest};                                        \
        return er_##NAME(&window, raw, out);                                                            \
    }
FILL(fill_float32, float, float)
FILL(fill_int8, float, int8_t)
FILL(fill_int16, float, int16_t)
FILL(fill_float32_from_bytes, uint8_t, float)
FILL(fill_int8_from_bytes, uint8_t, int8_t)
FILL(fill_int16_from_bytes, uint8_t, int16_t)

void look_up_int8(const uint8_t *raw, int64_t count, const int8_t *table, int8_t *out) {
    er_look_up_int8(raw, (size_t)count, table, out);
}
void look_up_int16(const uint8_t *raw, int64_t count, const int16_t *table, int16_t *out) {
    er_look_up_int16(raw, (size_t)count, table, out);
}
void look_up_float32(const uint8_t *raw, int64_t count, const float *table, float *out) {
    er_look_up_float32(raw, (size_t)count, table, out);
}
