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

#if defined(__x86_64__)
/* Bits of CPUID and of XCR0: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2A,
 * CPUID, and volume 1, 13.3. Not __builtin_cpu_supports, which answers no where a linker leaves its
 * constructor out. */
enum {
    FMA = 1 << 12, OSXSAVE = 1 << 27, F16C = 1 << 29,                              /* leaf 1, ECX */
    AVX2 = 1 << 5, AVX512F = 1 << 16, AVX512DQ = 1 << 17, AVX512BW = 1 << 30,      /* leaf 7, EBX */
    AVX512VBMI = 1 << 1, AVX512VNNI = 1 << 11,                                     /* leaf 7, ECX */
    YMM_STATE = 0x06, ZMM_STATE = 0xE6,                                            /* XCR0 */
};
#define AVX512VL (1u << 31) /* leaf 7, EBX */

typedef struct {
    uint32_t a, b, c, d;
} registers;

static registers cpuid(uint32_t leaf)
{
    registers r;
    __asm__ volatile("cpuid" : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d) : "a"(leaf), "c"(0));
    return r;
}

static uint32_t xcr0(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

static int has(uint32_t found, uint32_t bits) { return (found & bits) == bits; }

uint32_t er_x86_features(void)
{
    if (cpuid(0).a < 7 || !has(cpuid(1).c, OSXSAVE | FMA | F16C))
        return 0;
    const registers more = cpuid(7);
    if (!has(more.b, AVX2) || !has(xcr0(), YMM_STATE))
        return 0;
    const int wide = has(more.b, AVX512F | AVX512DQ | AVX512BW | AVX512VL) &&
                     has(more.c, AVX512VBMI | AVX512VNNI) && has(xcr0(), ZMM_STATE);
    return wide ? 3 : 1;
}
#else
uint32_t er_x86_features(void) { return 0; }
#endif
