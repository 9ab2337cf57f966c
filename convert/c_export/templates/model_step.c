/* The model of @name@.h: see there. The kernels are those of edge-rnn's native engine, and so are the bits. */
#if defined __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__
#pragma GCC optimize("fp-contract=off", "no-math-errno", "wrapv") /* fused multiply-adds would round differently */
#endif

#include "@name@.h"

#include <string.h>

#include "@name@_plan.h"
#include "edge_rnn/best_kernels.h"

@labels_defined@static const er_kernel kernels[ER_KERNEL_COUNT] = {
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

static int read_logits(const uint8_t *arena, @name@_@output@ *logits)
{
    memcpy(logits, arena + @logits_offset@, @NAME@_@COUNT@ * sizeof *logits);
#if @logits_are_float@
    for (uint32_t k = 0; k < @NAME@_@COUNT@; k++)
        if (!(logits[k] - logits[k] == 0)) /* NaN or infinity */
            return @NAME@_NOT_FINITE;
#endif
    return 0;
}

static void reset(uint8_t *arena)
{
@resets@}

static void step(uint8_t *arena, const @name@_value *row)
{
    memcpy(arena + @input_offset@, row, @NAME@_FEATURES * sizeof *row);
    run_calls(arena);
@passes@}

int @name@_run(@name@_model *model, const @name@_value *window, @name@_@output@ *logits)
{
    uint8_t *arena = (uint8_t *)model->arena;
    reset(arena);
    for (uint32_t row = 0; row < @NAME@_STEPS; row++)
        step(arena, window + row * @NAME@_FEATURES);
    return read_logits(arena, logits);
}

void @name@_start(@name@_stream *stream, uint32_t hop)
{
    reset((uint8_t *)stream->model.arena);
    stream->hop = hop;
    stream->rows = 0;
}

int @name@_push(@name@_stream *stream, const @name@_value *row, @name@_@output@ *logits)
{
    uint8_t *arena = (uint8_t *)stream->model.arena;
    step(arena, row);
    if (++stream->rows < stream->hop)
        return 0;
    stream->rows = 0;
    return read_logits(arena, logits) ? @NAME@_NOT_FINITE : 1;
}
@class_defined@