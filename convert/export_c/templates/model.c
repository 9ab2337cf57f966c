/* The model of @name@.h: see there. The kernels are those of edge-rnn's native engine, and so are the bits. */
#if defined __GNUC__ && !defined __clang__
#pragma GCC optimize("fp-contract=off") /* a fused multiply-add would round differently */
#pragma GCC diagnostic ignored "-Wunused-function" /* kernels that this model does not use */
#elif defined __clang__
#pragma STDC FP_CONTRACT OFF
#pragma clang diagnostic ignored "-Wunused-function"
#endif

#include "@name@.h"

#include <string.h>

#include "@name@_plan.h"
#include "edge_rnn/edge_rnn.h"
#if defined __ARM_FEATURE_MVE && __ARM_FEATURE_MVE && !defined ER_PLAIN
#include "edge_rnn/matmul_mve.h"
#define MATMUL_S8 er_mve_matmul_s8
#elif defined __ARM_FEATURE_DSP && defined __thumb2__ && defined __GNUC__ && !defined ER_PLAIN
#include "edge_rnn/matmul_cortex_m_dsp.h"
#define MATMUL_S8 er_dsp_matmul_s8
#else
#include "edge_rnn/matmul_plain.h"
#define MATMUL_S8 er_plain_matmul_s8
#endif

const char *const @name@_labels[@NAME@_CLASSES] = {
@labels@};

static const er_kernel kernels[ER_KERNEL_COUNT] = {
@kernels@};

static void run_calls(uint8_t *arena)
{
    static const er_lanes one = {1, 0, 0, 0};
    const uint8_t *plan = (const uint8_t *)@name@_plan;
    const er_call *call = (const er_call *)(plan + @NAME@_CALLS);
    for (uint32_t k = 0; k < @NAME@_CALL_COUNT; k++, call++) {
        const uint8_t *in0 = (call->in0 & ER_CONSTANT ? plan : arena) + (call->in0 & ~ER_CONSTANT);
        const uint8_t *in1 = (call->in1 & ER_CONSTANT ? plan : arena) + (call->in1 & ~ER_CONSTANT);
        /* in1 is written only where it is scratch memory, which is in the arena */
        kernels[call->kernel](in0, (uint8_t *)(uintptr_t)in1, arena + call->out, plan + call->params, plan, &one);
    }
}

static int read_logits(const uint8_t *arena, @name@_logit *logits)
{
    memcpy(logits, arena + @logits_offset@, @NAME@_CLASSES * sizeof *logits);
@check_logits@    return 0;
}

@body@
uint32_t @name@_class(const @name@_logit *logits)
{
    uint32_t best = 0;
    for (uint32_t k = 1; k < @NAME@_CLASSES; k++)
        if (logits[k] > logits[best])
            best = k;
    return best;
}
