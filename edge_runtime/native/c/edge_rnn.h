/* The engine's types and functions.
 *
 * A plan is one read-only block of memory that says what to compute: a header, calls of kernels, their
 * parameters, and constants. An arena is a block of memory that the caller owns and a run writes. There is
 * no other state: no allocation, no global variable, nothing of libc but memcpy and memset. So any number
 * of threads may run one plan, each in an arena of its own.
 *
 * Several windows can run at once, each in a lane: a part of the arena of its own. Every kernel then reads
 * its weights once for all lanes.
 *
 * All numbers are little-endian, all offsets are in bytes. The plan comes from
 * edge_runtime/native/planner.py.
 */
#ifndef EDGE_RNN_H
#define EDGE_RNN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define ER_API __declspec(dllexport)
#elif defined(__GNUC__)
#define ER_API __attribute__((visibility("default")))
#else
#define ER_API
#endif

#define ER_MAGIC 0x324e5245u /* "ERN2" */
#define ER_ALIGNMENT 64u     /* of plans and arenas */
#define ER_SLACK 64u         /* bytes after a lane's tensors that kernels may read, not write */

/* An operand with this bit is an offset into the plan, else into the lane. */
#define ER_CONSTANT 0x80000000u

/* How weights are stored; each set of kernels reads one layout.
 * ER_ROWS: int8 and float32 [out][in], each row padded with zeros to 16 values.
 * ER_BLOCKS: int8 [in/4][blocks][16][4], for int16 matmuls [in/2][blocks][16][2], float32
 *   [in][blocks][16], for each group of up to 8 blocks of 16 outputs, padded with zeros.
 * ER_BLOCKS_UNSIGNED: as ER_BLOCKS, for kernels that read int8 x as x + 128; biases allow for that. */
enum { ER_ROWS, ER_BLOCKS, ER_BLOCKS_UNSIGNED };

enum er_number {
    ER_COPY,
    ER_LOOKUP_S8,
    ER_ADD_S8,
    ER_MUL_S8,
    ER_ADD_S16,
    ER_MUL_S16,
    ER_RESCALE_S16,
    ER_SIGMOID_S16,
    ER_TANH_S16,
    ER_QUANTIZE_S8,
    ER_QUANTIZE_S16,
    ER_DEQUANTIZE_S8,
    ER_DEQUANTIZE_S16,
    ER_ADD_F32,
    ER_SUB_F32,
    ER_MUL_F32,
    ER_SQUARED_DIFFERENCE_F32,
    ER_MINIMUM_F32,
    ER_SIGMOID_F32,
    ER_TANH_F32,
    ER_RELU_F32,
    ER_ELU_F32,
    ER_RSQRT_F32,
    ER_SOFTMAX_F32,
    ER_MEAN_F32,
    ER_MAX_S8,
    ER_MAX_S16,
    ER_MAX_F32,
    ER_GATHER,
    ER_MATMUL_S8,
    ER_MATMUL_S16,
    ER_MATMUL_F32,
    ER_MATMUL_HYBRID,
    ER_KERNEL_COUNT
};

typedef struct {
    uint32_t magic;
    uint32_t size;         /* of the whole plan */
    uint32_t layout;
    uint32_t arena;        /* bytes of one lane without the slack, a multiple of ER_ALIGNMENT */
    uint32_t calls;        /* offset of er_call[call_count] */
    uint32_t call_count;
    uint32_t ends;         /* offset of er_end[input_count + output_count] */
    uint32_t input_count;  /* the window or row, then the states before */
    uint32_t output_count; /* the logits, then the states after */
    uint32_t reserved[7];
} er_plan;

/* One call of a kernel. */
typedef struct {
    uint32_t kernel;
    uint32_t in0, in1; /* operands */
    uint32_t out;      /* offset into the lane */
    uint32_t params;   /* offset into the plan of the kernel's parameters */
} er_call;

/* An input or output of the model, contiguous in the lane. */
enum er_type { ER_F32, ER_S8, ER_S16, ER_S32 };
typedef struct {
    uint32_t offset, count; /* count: of values */
    uint32_t type;
    float scale;            /* real = scale * (value - zero_point); 0 for float32 and int32 */
    int32_t zero_point;
} er_end;

/* Parameters of the kernels that work on [rows][width] values one by one, or row by row (softmax).
 * Values of a row are contiguous, or with step 0 one value stands for the whole row. */
typedef struct {
    uint32_t rows, width;
    uint32_t pitch0, pitch1, pitch; /* bytes from one row to the next: in0, in1, out */
    uint32_t step0, step1;          /* 1, or 0 */
    uint32_t table;                 /* offset of 256 values: int8 for lookups, uint16 for int16 curves */
    int32_t zero0, zero1, zero;     /* zero_points: in0, in1, out */
    int32_t mult0, shift0;          /* multipliers, mantissa * 2^(shift - 31) */
    int32_t mult1, shift1;
    int32_t mult, shift;
    int32_t low, high;              /* limits of the result */
    float scale;                    /* QUANTIZE: of the output; DEQUANTIZE: of the input */
} er_map;

/* Parameters of mean and maximum: [outer][count][width] -> [outer][width]. COPY uses er_map. */
typedef struct {
    uint32_t outer, count, width;
    uint32_t pitch_outer, pitch_count; /* bytes in in0 */
    uint32_t pitch;                    /* bytes in out */
} er_reduction;

/* Parameters of a gather: rows of the table in in0, a constant, by the int32 numbers in in1. */
typedef struct {
    uint32_t count, width;          /* how many rows to copy; bytes of a row */
    uint32_t rows;                  /* of the table; a number beyond its ends means the first or the last */
    uint32_t pitch0, pitch1, pitch; /* bytes from one to the next: rows of the table, numbers, rows of out */
} er_gather_params;

/* Parameters of matmuls: [rows][in] times [out][in], plus bias. in1 is the place of in + 16 bytes of
 * scratch for the hybrid one. Arrays have out values, padded to a multiple of 16. */
typedef struct {
    uint32_t rows, in, out;
    uint32_t pitch0, pitch; /* bytes from one row to the next: in0, out */
    uint32_t weights;       /* offsets into the plan */
    uint32_t bias;          /* int32 (int8), int64 (int16), float32; int8: zero_points allowed for */
    uint32_t mults;         /* int32[out] mantissas; hybrid: float32 scales of the weights */
    uint32_t shifts;        /* int32[out] shifts to the right; hybrid: int32 sums of each row of weights */
    int32_t zero;           /* zero_point of out */
    int32_t low, high;      /* limits of the result; float: relu if low is 0 and high 1 */
    uint32_t wide;          /* 1: weights are in rows, signed, whatever the plan's layout, since sums need
                               64 bits, shifts go left, or the set's own kernel cannot hold a weight */
} er_matmul;

/* The windows of a call: how many, and the bytes from one to the next; 0 for a constant. */
typedef struct {
    uint32_t count;
    size_t stride0, stride1, stride;
} er_lanes;

typedef void (*er_kernel)(const uint8_t *in0, uint8_t *in1, uint8_t *out, const void *params,
                          const uint8_t *plan, const er_lanes *lanes);

/* A set of kernels. */
typedef struct {
    const char *name;
    uint32_t layout;
    er_kernel kernel[ER_KERNEL_COUNT];
} er_kernels;

/* How raw windows become inputs: (x - mean) / std, then quantized; and how many rows a window has.
 * Step plans take one row at a time. mean and std have 1 or `features` values. `table`, or NULL, has what
 * each byte becomes, in the type of the input: for uint8 windows whose features are normalized alike.
 * An int32 input takes int32 windows as they are: numbers below `tokens`. */
typedef struct {
    uint32_t features, rows;
    uint32_t mean_count, std_count;
    uint32_t tokens, reserved;
    const float *mean, *std;
    const void *table;
} er_raw;

enum er_status {
    ER_OK,
    ER_INPUT_NOT_FINITE,
    ER_LOGITS_NOT_FINITE,
    ER_WINDOW_DOES_NOT_FIT,
    ER_INPUT_IS_NO_TOKEN
};
enum er_raw_type { ER_RAW_U8, ER_RAW_F32, ER_RAW_S32 };

/* The set of kernels of a name, or NULL. That this CPU can run it is for the caller to know. */
ER_API const er_kernels *er_find_kernels(const char *name);

/* Bit 0: AVX2, FMA and F16C; bit 1: AVX-512 with VNNI and VBMI as well. 0 where it is no x86-64. */
ER_API uint32_t er_x86_features(void);

/* NULL, or what is wrong with a plan of `size` bytes for these kernels. A plan that passes makes them
 * read and write nothing outside of the plan and the arena, and ends. What it computes may still mean
 * nothing: int32 sums that are too large wrap (compile with -fwrapv). */
ER_API const char *er_check(const er_kernels *kernels, const void *plan, size_t size);

/* Bytes from one lane to the next; an arena has that many for each lane. */
ER_API size_t er_lane_stride(const er_plan *plan);

/* Runs the plan in the first `lanes` lanes. */
ER_API void er_run(const er_kernels *kernels, const er_plan *plan, void *arena, uint32_t lanes);

/* Sets the states of the first `lanes` lanes to zero. */
ER_API void er_reset(const er_plan *plan, void *arena, uint32_t lanes);

/* What to do with raw windows [rows][features], or one raw row. */
typedef struct {
    const er_kernels *kernels;
    const er_plan *plan;
    const er_raw *raw;
    void *arena;
    const void *windows;
    float *logits; /* [count][classes], or with by_row [count][rows][classes] */
    size_t count;
    uint32_t lanes; /* of the arena: how many windows run at a time */
    uint32_t type;  /* of the windows: er_raw_type */
    uint32_t by_row;
} er_job;

/* The logits of a job's windows. A step plan runs row by row from zero states; with by_row its logits after
 * every row are written. ER_WINDOW_DOES_NOT_FIT, before anything is read: rows of so many features do not
 * fill the model's input, mean or std has another number of values, the windows are of a type that the
 * input does not take, or there are no lanes. */
ER_API int er_windows(const er_job *job);

/* One raw row of a step plan, in lane 0: normalized, run, logits written, states passed on. After another
 * status than ER_OK the states are what they were. */
ER_API int er_step(const er_job *job);

#ifdef __cplusplus
}
#endif
#endif
