/* The fastest kernels on matrices in rows for what the compiler compiles for: exported models have no choice
 * when they run. With ER_PLAIN defined, those in plain C. */
#ifndef ER_BEST_KERNELS_H
#define ER_BEST_KERNELS_H

#if defined __ARM_FEATURE_MVE && __ARM_FEATURE_MVE && !defined ER_PLAIN
#include "kernels_mve.h"
#define ER_BEST_LOOKUP_S8 er_mve_lookup_s8
#define ER_BEST_ADD_S8 er_mve_add_s8
#define ER_BEST_MUL_S8 er_mve_mul_s8
#define ER_BEST_MATMUL_S8 er_mve_matmul_s8
#define ER_BEST_MATMUL_S16 er_mve_matmul_s16
#define ER_BEST_MATMUL_HYBRID er_mve_matmul_hybrid
#elif defined __ARM_FEATURE_DSP && defined __thumb2__ && defined __OPTIMIZE__ && !defined ER_PLAIN
#include "kernels_cortex_m_dsp.h"
#define ER_BEST_MATMUL_S8 er_dsp_matmul_s8
#define ER_BEST_MATMUL_S16 er_dsp_matmul_s16
#define ER_BEST_MATMUL_HYBRID er_dsp_matmul_hybrid
#else
#include "matmul_plain.h"
#define ER_BEST_MATMUL_S8 er_plain_matmul_s8
#define ER_BEST_MATMUL_S16 er_plain_matmul_s16
#define ER_BEST_MATMUL_HYBRID er_plain_matmul_hybrid
#endif
#ifndef ER_BEST_LOOKUP_S8
#define ER_BEST_LOOKUP_S8 er_lookup_s8
#define ER_BEST_ADD_S8 er_add_s8
#define ER_BEST_MUL_S8 er_mul_s8
#endif
#define ER_BEST_MATMUL_F32 er_plain_matmul_f32

#endif
