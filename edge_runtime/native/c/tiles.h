/* How a matmul is cut into tiles: a few rows of x times a few blocks of 16 outputs, so that each load of
 * weights serves all rows and sums of many outputs are under way at a time. A set of kernels defines
 * TILE(rows, blocks, ...) as an inline function; its loops vanish, as both numbers are constants. */
#ifndef ER_TILES_H
#define ER_TILES_H

#include "matmul_plain.h"

#define ER_INLINE static inline __attribute__((always_inline))
/* STEP(0) to STEP(31). Written out, and with a variable for each sum: from a loop over an array, gcc would
 * keep the sums of a tile in memory. */
#define ER_REPEAT(STEP)                                                                                   \
    STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7)                                       \
    STEP(8) STEP(9) STEP(10) STEP(11) STEP(12) STEP(13) STEP(14) STEP(15)                                 \
    STEP(16) STEP(17) STEP(18) STEP(19) STEP(20) STEP(21) STEP(22) STEP(23)                               \
    STEP(24) STEP(25) STEP(26) STEP(27) STEP(28) STEP(29) STEP(30) STEP(31)

/* A set of kernels with few registers takes fewer. */
#ifndef ER_MOST_ROWS
#define ER_MOST_ROWS 4
#endif

/* The rows of a tile: where they are read and written. */
typedef struct {
    const uint8_t *x[ER_MOST_ROWS];
    uint8_t *out[ER_MOST_ROWS];
} er_rows;

/* Rows of the next tile, of as many as are left: a power of two. */
static inline uint32_t er_rows_at_once(uint32_t left)
{
    return left >= 4 && ER_MOST_ROWS >= 4 ? 4 : left >= 2 ? 2 : 1;
}

/* Where the weights of a block begin, and the bytes from one step of k to the next: blocks lie in groups of
 * up to 8, so that a tile for one row reads memory from front to back. `steps`: of k, `bytes`: of a block
 * in one step. */
static inline const uint8_t *er_weights(const er_matmul *p, const uint8_t *plan, uint32_t block,
                                        uint32_t steps, uint32_t bytes, size_t *step)
{
    const uint32_t first = block / 8 * 8, left = (p->out + 15) / 16 - first;
    *step = (left < 8 ? left : 8) * (size_t)bytes;
    return plan + p->weights + (size_t)first * steps * bytes + (size_t)(block - first) * bytes;
}

/* TILE(R, B, first block, ...) for all blocks of 16 outputs, with R rows; MOST blocks at a time, 4 or 8, as
 * there are registers, and two or one at the end. */
#define ER_FOR_BLOCKS(R, MOST, BLOCKS, TILE, ...)                                                         \
    do {                                                                                                  \
        uint32_t block = 0;                                                                               \
        for (; block + (MOST) <= (BLOCKS); block += (MOST))                                               \
            TILE(R, MOST, block, __VA_ARGS__);                                                            \
        for (; block + 2 <= (BLOCKS); block += 2)                                                         \
            TILE(R, 2, block, __VA_ARGS__);                                                               \
        for (; block < (BLOCKS); block++)                                                                 \
            TILE(R, 1, block, __VA_ARGS__);                                                               \
    } while (0)

#define ER_BY_COUNT(COUNT, ONE, TWO, FOUR, BLOCKS, TILE, ...)                                             \
    do {                                                                                                  \
        if (ER_MOST_ROWS >= 4 && (COUNT) == 4)                                                            \
            ER_FOR_BLOCKS(4, FOUR, BLOCKS, TILE, __VA_ARGS__);                                            \
        else if ((COUNT) == 2)                                                                            \
            ER_FOR_BLOCKS(2, TWO, BLOCKS, TILE, __VA_ARGS__);                                             \
        else                                                                                              \
            ER_FOR_BLOCKS(1, ONE, BLOCKS, TILE, __VA_ARGS__);                                             \
    } while (0)

/* What a tile needs to know. */
typedef struct {
    const er_matmul *p;
    const uint8_t *plan;
    const er_rows *rows;
    const er_row *quantized; /* of the hybrid matmul: one for each row */
} er_tile;

/* Defines the kernel NAME, a matmul of tiles. ONE, TWO and FOUR: how many blocks a tile of so many rows has.
 * PLAIN is the kernel for `wide` matrices. */
#define ER_TILED_MATMUL(NAME, TILE, PLAIN, ONE, TWO, FOUR)                                                \
    static void NAME(ER_ARGUMENTS)                                                                        \
    {                                                                                                     \
        const er_matmul *p = params;                                                                      \
        const uint32_t blocks = (p->out + 15) / 16, all = lanes->count * p->rows;                         \
        uint32_t lane = 0, row = 0;                                                                       \
        if (p->wide) {                                                                                    \
            PLAIN(in0, in1, out, params, plan, lanes);                                                    \
            return;                                                                                       \
        }                                                                                                 \
        for (uint32_t done = 0; done < all;) {                                                            \
            const uint32_t count = er_rows_at_once(all - done);                                           \
            er_rows rows;                                                                                 \
            for (uint32_t k = 0; k < count; k++, done++) {                                                \
                rows.x[k] = in0 + lane * lanes->stride0 + (size_t)row * p->pitch0;                        \
                rows.out[k] = out + lane * lanes->stride + (size_t)row * p->pitch;                        \
                if (++row == p->rows)                                                                     \
                    row = 0, lane++;                                                                      \
            }                                                                                             \
            const er_tile t = {p, plan, &rows, 0};                                                        \
            ER_BY_COUNT(count, ONE, TWO, FOUR, blocks, TILE, &t);                                         \
        }                                                                                                 \
    }

/* The same for the hybrid matmul, which quantizes rows first, each into the scratch of its lane. */
#define ER_TILED_HYBRID_MATMUL(NAME, TILE, ONE, TWO, FOUR)                                                \
    static void NAME(ER_ARGUMENTS)                                                                        \
    {                                                                                                     \
        const er_matmul *p = params;                                                                      \
        const uint32_t blocks = (p->out + 15) / 16;                                                       \
        if (p->wide) {                                                                                    \
            er_plain_matmul_hybrid(in0, in1, out, params, plan, lanes);                                   \
            return;                                                                                       \
        }                                                                                                 \
        for (uint32_t row = 0; row < p->rows; row++)                                                      \
            for (uint32_t lane = 0; lane < lanes->count;) {                                               \
                const uint32_t count = er_rows_at_once(lanes->count - lane);                              \
                er_rows rows;                                                                             \
                er_row quantized[ER_MOST_ROWS];                                                           \
                for (uint32_t k = 0; k < count; k++, lane++) {                                            \
                    const float *x = (const float *)(in0 + lane * lanes->stride0 + (size_t)row * p->pitch0); \
                    uint8_t *q = in1 + lane * lanes->stride1;                                             \
                    quantized[k] = er_row_of(x, (int32_t)p->in);                                          \
                    er_row_quantize_all(x, (int32_t)p->in, quantized[k], (int8_t *)q);                    \
                    rows.x[k] = q;                                                                        \
                    rows.out[k] = out + lane * lanes->stride + (size_t)row * p->pitch;                    \
                }                                                                                         \
                const er_tile t = {p, plan, &rows, quantized};                                            \
                ER_BY_COUNT(count, ONE, TWO, FOUR, blocks, TILE, &t);                                     \
            }                                                                                             \
    }

#endif
