/* Kernels in plain C, for every processor. */
#include "matmul_plain.h"

const er_kernels er_kernels_plain = {
    "plain",
    ER_ROWS,
    {ER_ELEMENTWISE, [ER_MATMUL_S8] = er_plain_matmul_s8, [ER_MATMUL_S16] = er_plain_matmul_s16,
     [ER_MATMUL_F32] = er_plain_matmul_f32, [ER_MATMUL_HYBRID] = er_plain_matmul_hybrid},
};
