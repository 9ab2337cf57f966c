/* Raw windows into a model's input tensor: normalized, and quantized where the tensor is integer.
 *
 * The same bits as edge_runtime/inference/tensors.py (InputTensor), which these functions replace; see
 * float_functions.h for what that takes. They return whether all normalized values are finite. If not,
 * the tensor's values mean nothing.
 */
#ifndef EDGE_RNN_RAW_WINDOWS_H
#define EDGE_RNN_RAW_WINDOWS_H

#include "float_functions.h"

typedef struct {
    const float *mean, *std; /* [features], or one number each where all features are normalized alike */
    int32_t rows, features;
    bool one_mean, one_std;
    float scale; /* of an integer tensor, as are the next three */
    int32_t zero_point, lowest, highest;
} er_window;

/* As quantization.quantize: to nearest, ties to even, saturating. */
static inline int32_t er_quantize_even(float x, float scale, float zero_point, float lowest,
                                       float highest) {
    float steps = x / scale;
    steps = steps > -131072.0f ? steps : -131072.0f; /* beyond int16 with any zero_point */
    steps = steps < 131072.0f ? steps : 131072.0f;
    float q = er_round_half_even(steps) + zero_point;
    q = q > lowest ? q : lowest;
    return (int32_t)(q < highest ? q : highest);
}

/* The magnitude's bits of one normalized value, which are ER_INFINITY_BITS or more for NaN and infinity. */
static inline int32_t er_magnitude(float x) { return (int32_t)(er_bits(x) & ~ER_SIGN_BIT); }

/* Defines NAME(window, raw, out), and the loop that it runs for each row, or once where all features are
 * normalized alike: features `step` apart in mean and std. */
#define ER_DEFINE_FILL(NAME, RAW, OUT, STORED)                                                          \
    static inline int32_t NAME##_loop(const er_window *w, const RAW *restrict raw, size_t count,        \
                                      const float *restrict means, size_t mean_step,                    \
                                      const float *restrict stds, size_t std_step,                      \
                                      OUT *restrict out) {                                              \
        float scale = w->scale, zero_point = (float)w->zero_point;                                      \
        float lowest = (float)w->lowest, highest = (float)w->highest;                                   \
        int32_t largest = 0;                                                                            \
        (void)scale, (void)zero_point, (void)lowest, (void)highest;                                     \
        for (size_t k = 0; k < count; k++) {                                                            \
            float x = ((float)raw[k] - means[k * mean_step]) / stds[k * std_step];                      \
            int32_t magnitude = er_magnitude(x);                                                        \
            largest = magnitude > largest ? magnitude : largest;                                        \
            out[k] = (OUT)(STORED);                                                                     \
        }                                                                                               \
        return largest;                                                                                 \
    }                                                                                                   \
    static inline bool NAME(const er_window *w, const RAW *raw, OUT *out) {                             \
        size_t rows = (size_t)w->rows, features = (size_t)w->features;                                  \
        int32_t largest = 0;                                                                            \
        if (w->one_mean && w->one_std) {                                                                \
            largest = NAME##_loop(w, raw, rows * features, w->mean, 0, w->std, 0, out);                 \
            return largest < (int32_t)ER_INFINITY_BITS;                                                 \
        }                                                                                               \
        for (size_t row = 0; row < rows; row++) {                                                       \
            size_t first = row * features;                                                              \
            int32_t found;                                                                              \
            if (w->one_mean)                                                                            \
                found = NAME##_loop(w, raw + first, features, w->mean, 0, w->std, 1, out + first);      \
            else if (w->one_std)                                                                        \
                found = NAME##_loop(w, raw + first, features, w->mean, 1, w->std, 0, out + first);      \
            else                                                                                        \
                found = NAME##_loop(w, raw + first, features, w->mean, 1, w->std, 1, out + first);      \
            largest = found > largest ? found : largest;                                                \
        }                                                                                               \
        return largest < (int32_t)ER_INFINITY_BITS;                                                     \
    }

#define ER_STORED_INTEGER er_quantize_even(x, scale, zero_point, lowest, highest)
ER_DEFINE_FILL(er_fill_float32, float, float, x)
ER_DEFINE_FILL(er_fill_int8, float, int8_t, ER_STORED_INTEGER)
ER_DEFINE_FILL(er_fill_int16, float, int16_t, ER_STORED_INTEGER)
/* From bytes, such as pixels, where the features are normalized differently. */
ER_DEFINE_FILL(er_fill_float32_from_bytes, uint8_t, float, x)
ER_DEFINE_FILL(er_fill_int8_from_bytes, uint8_t, int8_t, ER_STORED_INTEGER)
ER_DEFINE_FILL(er_fill_int16_from_bytes, uint8_t, int16_t, ER_STORED_INTEGER)
#undef ER_STORED_INTEGER
#undef ER_DEFINE_FILL

/* From bytes by a table of what each of the 256 becomes, where all features are normalized alike. */
static inline void er_look_up_int8(const uint8_t *restrict raw, size_t count, const int8_t *restrict table,
                                   int8_t *restrict out) {
    for (size_t k = 0; k < count; k++) out[k] = table[raw[k]];
}

static inline void er_look_up_int16(const uint8_t *restrict raw, size_t count,
                                    const int16_t *restrict table, int16_t *restrict out) {
    for (size_t k = 0; k < count; k++) out[k] = table[raw[k]];
}

static inline void er_look_up_float32(const uint8_t *restrict raw, size_t count,
                                      const float *restrict table, float *restrict out) {
    for (size_t k = 0; k < count; k++) out[k] = table[raw[k]];
}

#endif
