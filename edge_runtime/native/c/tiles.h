/* How a matmul is cut into tiles: a few rows of x times a few blocks of 16 outputs, so that each load of
 * weights serves all rows and sums of many outputs are under way at a time. A set of kernels defines
 * TILE(rows, blocks, ...) as an inline function; its loops vanish, as both numbers are constants. */
#ifndef ER_TILES_H
#define ER_TILES_H

#include "edge_rnn.h"

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

/* Runs WORK(rows, count) for all rows of all lanes. */
#define ER_FOR_ROWS(P, WORK)                                                                              \
    do {                                                                                                  \
        const uint32_t all = lanes->count * (P)->rows;                                                    \
        uint32_t lane = 0, row = 0;                                                                       \
        for (uint32_t done = 0; done < all;) {                                                            \
            const uint32_t count = er_rows_at_once(all - done);                                           \
            er_rows rows;                                                                                 \
            for (uint32_t k = 0; k < count; k++) {                                                        \
                rows.x[k] = in0 + lane * lanes->stride0 + (size_t)row * (P)->pitch0;                      \
                rows.out[k] = out + lane * lanes->stride + (size_t)row * (P)->pitch;                      \
                if (++row == (P)->rows)                                                                   \
                    row = 0, lane++;                                                                      \
            }                                                                                             \
            WORK(&rows, count);                                                                           \
            done += count;                                                                                \
        }                                                                                                 \
    } while (0)

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

#endif
