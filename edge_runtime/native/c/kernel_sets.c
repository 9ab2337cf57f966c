/* The sets of kernels that this library was compiled with, and what an x86 CPU has. */
#include "edge_rnn.h"

extern const er_kernels er_kernels_plain;
#ifdef ER_WITH_AVX2
extern const er_kernels er_kernels_avx2;
#endif
#ifdef ER_WITH_AVX512
extern const er_kernels er_kernels_avx512;
#endif
#ifdef ER_WITH_NEON
extern const er_kernels er_kernels_neon;
#endif
#ifdef ER_WITH_NEON_DOTPROD
extern const er_kernels er_kernels_neon_dotprod;
#endif

static const er_kernels *const SETS[] = {
    &er_kernels_plain,
#ifdef ER_WITH_AVX2
    &er_kernels_avx2,
#endif
#ifdef ER_WITH_AVX512
    &er_kernels_avx512,
#endif
#ifdef ER_WITH_NEON
    &er_kernels_neon,
#endif
#ifdef ER_WITH_NEON_DOTPROD
    &er_kernels_neon_dotprod,
#endif
};

static int same(const char *one, const char *other)
{
    while (*one && *one == *other)
        one++, other++;
    return *one == *other;
}

const er_kernels *er_find_kernels(const char *name)
{
    for (size_t k = 0; k < sizeof SETS / sizeof *SETS; k++)
        if (same(SETS[k]->name, name))
            return SETS[k];
    return 0;
}

uint32_t er_x86_features(void)
{
    uint32_t found = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c"))
        found |= 1;
    if (found && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi"))
        found |= 2;
#endif
    return found;
}
