/* Runs plans: the loop over the calls, states, and raw windows. */
#include <string.h>

#include "edge_rnn.h"
#include "raw_windows.h"

size_t er_lane_stride(const er_plan *plan) { return (size_t)plan->arena + ER_SLACK; }

static const er_end *ends_of(const er_plan *plan)
{
    return (const er_end *)((const uint8_t *)plan + plan->ends);
}

static size_t size_of(uint32_t type) { return type == ER_S8 ? 1 : type == ER_S16 ? 2 : 4; }

void er_run(const er_kernels *kernels, const er_plan *plan, void *arena, uint32_t lanes)
{
    const uint8_t *base = (const uint8_t *)plan;
    const er_call *calls = (const er_call *)(base + plan->calls);
    const size_t stride = er_lane_stride(plan);
    for (uint32_t k = 0; k < plan->call_count; k++) {
        const er_call *call = &calls[k];
        const uint32_t in0 = call->in0, in1 = call->in1;
        const int constant0 = (in0 & ER_CONSTANT) != 0, constant1 = (in1 & ER_CONSTANT) != 0;
        const er_lanes found = {lanes, constant0 ? 0 : stride, constant1 ? 0 : stride, stride};
        kernels->kernel[call->kernel](
            (constant0 ? base : (uint8_t *)arena) + (in0 & ~ER_CONSTANT),
            (constant1 ? (uint8_t *)(uintptr_t)base : (uint8_t *)arena) + (in1 & ~ER_CONSTANT),
            (uint8_t *)arena + call->out, base + call->params, base, &found);
    }
}

/* Inputs and outputs after the first are the states before and after. */
static uint32_t states_of(const er_plan *plan)
{
    return plan->input_count == plan->output_count ? plan->input_count - 1 : 0;
}

void er_reset(const er_plan *plan, void *arena, uint32_t lanes)
{
    for (uint32_t lane = 0; lane < lanes; lane++)
        for (uint32_t k = 1; k <= states_of(plan); k++) {
            const er_end *state = ends_of(plan) + k;
            uint8_t *values = (uint8_t *)arena + lane * er_lane_stride(plan) + state->offset;
            if (state->type == ER_S8)
                memset(values, (uint8_t)state->zero_point, state->count);
            else /* the zero_point of int16 is 0 */
                memset(values, 0, state->count * size_of(state->type));
        }
}

static void pass_states_on(const er_plan *plan, uint8_t *lane)
{
    const er_end *before = ends_of(plan) + 1, *after = ends_of(plan) + plan->input_count + 1;
    for (uint32_t k = 0; k < states_of(plan); k++)
        memcpy(lane + before[k].offset, lane + after[k].offset, before[k].count * size_of(before[k].type));
}

static bool are_tokens(const int32_t *values, uint32_t count, uint32_t tokens)
{
    for (uint32_t k = 0; k < count; k++)
        if ((uint32_t)values[k] >= tokens) /* a negative one as well */
            return false;
    return true;
}

static int fill_tokens(const er_plan *plan, const er_raw *raw, uint8_t *lane, const void *values)
{
    const er_end *input = ends_of(plan);
    if (!are_tokens(values, input->count, raw->tokens))
        return ER_INPUT_IS_NO_TOKEN;
    memcpy(lane + input->offset, values, input->count * sizeof(int32_t));
    return ER_OK;
}

/* `rows` raw rows into the first input of a lane; whether all of them are finite. */
static bool fill_numbers(const er_plan *plan, const er_raw *raw, uint8_t *lane, const void *values, uint32_t type,
                 uint32_t rows)
{
    const er_end *input = ends_of(plan);
    void *out = lane + input->offset;
    const int32_t limit = input->type == ER_S8 ? 128 : 32768;
    const er_window window = {raw->mean,      raw->std,           (int32_t)rows,      (int32_t)raw->features,
                              raw->mean_count == 1, raw->std_count == 1, input->scale, input->zero_point,
                              -limit,         limit - 1};
    if (type == ER_RAW_F32)
        return input->type == ER_F32   ? er_fill_float32(&window, values, out)
               : input->type == ER_S16 ? er_fill_int16(&window, values, out)
                                       : er_fill_int8(&window, values, out);
    if (!raw->table)
        return input->type == ER_F32   ? er_fill_float32_from_bytes(&window, values, out)
               : input->type == ER_S16 ? er_fill_int16_from_bytes(&window, values, out)
                                       : er_fill_int8_from_bytes(&window, values, out);
    if (input->type == ER_F32)
        er_look_up_float32(values, input->count, raw->table, out);
    else if (input->type == ER_S16)
        er_look_up_int16(values, input->count, raw->table, out);
    else
        er_look_up_int8(values, input->count, raw->table, out);
    return true;
}

static int fill(const er_job *job, uint8_t *lane, const void *values, uint32_t rows)
{
    if (job->type == ER_RAW_S32)
        return fill_tokens(job->plan, job->raw, lane, values);
    return fill_numbers(job->plan, job->raw, lane, values, job->type, rows) ? ER_OK : ER_INPUT_NOT_FINITE;
}

static int read_logits(const er_plan *plan, const uint8_t *lane, float *logits)
{
    const er_end *end = ends_of(plan) + plan->input_count;
    const uint8_t *values = lane + end->offset;
    for (uint32_t k = 0; k < end->count; k++) {
        float value;
        if (end->type == ER_F32)
            value = ((const float *)values)[k];
        else {
            const int32_t stored = end->type == ER_S8    ? ((const int8_t *)values)[k]
                                   : end->type == ER_S16 ? ((const int16_t *)values)[k]
                                                         : ((const int32_t *)values)[k];
            value = er_dequantize(stored, end->scale, end->zero_point);
        }
        if (er_magnitude(value) >= (int32_t)ER_INFINITY_BITS)
            return ER_LOGITS_NOT_FINITE;
        logits[k] = value;
    }
    return ER_OK;
}

/* Whether windows of that kind fill the first input, `rows` rows at a time, a whole number of times. */
static bool fits(const er_job *job, uint32_t *rows)
{
    const er_raw *raw = job->raw;
    const uint32_t count = ends_of(job->plan)->count, features = raw->features;
    const bool tokens = ends_of(job->plan)->type == ER_S32;
    if (features == 0 || count % features || tokens != (job->type == ER_RAW_S32))
        return false;
    *rows = count / features;
    return raw->rows > 0 && raw->rows % *rows == 0 &&
           (tokens || (raw->table && job->type == ER_RAW_U8) ||
            ((raw->mean_count == 1 || raw->mean_count == features) &&
             (raw->std_count == 1 || raw->std_count == features)));
}

int er_step(const er_job *job)
{
    const er_plan *plan = job->plan;
    uint32_t rows;
    if (!fits(job, &rows) || rows != 1)
        return ER_WINDOW_DOES_NOT_FIT;
    int status = fill(job, job->arena, job->windows, 1);
    if (status != ER_OK)
        return status;
    er_run(job->kernels, plan, job->arena, 1);
    status = read_logits(plan, job->arena, job->logits);
    if (status == ER_OK)
        pass_states_on(plan, job->arena);
    return status;
}

/* The windows `first` to `first + lanes`, each in a lane; `rows` of them in each pass through the plan. */
static int run_lanes(const er_job *job, size_t first, uint32_t lanes, uint32_t rows)
{
    const er_plan *plan = job->plan;
    const er_raw *raw = job->raw;
    const er_end *logits = ends_of(plan) + plan->input_count;
    const uint32_t passes = raw->rows / rows;
    const size_t stride = er_lane_stride(plan), row = (size_t)raw->features * (job->type == ER_RAW_U8 ? 1 : 4);
    const uint8_t *windows = (const uint8_t *)job->windows + first * raw->rows * row;
    uint8_t *arena = job->arena;
    er_reset(plan, arena, lanes);
    for (uint32_t t = 0; t < passes; t++) {
        for (uint32_t n = 0; n < lanes; n++) {
            const uint8_t *values = windows + row * ((size_t)n * raw->rows + (size_t)t * rows);
            const int status = fill(job, arena + n * stride, values, rows);
            if (status != ER_OK)
                return status;
        }
        er_run(job->kernels, plan, arena, lanes);
        for (uint32_t n = 0; n < lanes; n++) {
            pass_states_on(plan, arena + n * stride);
            if (!job->by_row && t + 1 < passes)
                continue;
            const size_t place = job->by_row ? (first + n) * passes + t : first + n;
            const int status = read_logits(plan, arena + n * stride, job->logits + place * logits->count);
            if (status != ER_OK)
                return status;
        }
    }
    return ER_OK;
}

int er_windows(const er_job *job)
{
    uint32_t rows;
    if (job->lanes == 0 || !fits(job, &rows))
        return ER_WINDOW_DOES_NOT_FIT;
    for (size_t first = 0; first < job->count; first += job->lanes) {
        const size_t left = job->count - first;
        const int status = run_lanes(job, first, left < job->lanes ? (uint32_t)left : job->lanes, rows);
        if (status != ER_OK)
            return status;
    }
    return ER_OK;
}
