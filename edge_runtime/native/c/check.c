/* Checks a plan, so that running it reads and writes nothing outside of the plan and the arena. Plans can
 * come from a damaged or hostile file: nothing in them is taken for granted. */
#include "edge_rnn.h"

typedef struct {
    const uint8_t *bytes;
    uint64_t size, arena;
    uint32_t layout;
} reader;

/* Inputs and outputs together; each state is compared with every other. */
#define MOST_ENDS 4096u

static const char OUTSIDE[] = "it reaches outside of its plan or arena";

/* Whether `bytes` bytes from `offset` on lie inside the plan. */
static int in_plan(const reader *r, uint64_t offset, uint64_t bytes, uint32_t alignment)
{
    return offset % alignment == 0 && bytes <= r->size && offset <= r->size - bytes;
}

static int in_lane(const reader *r, uint64_t offset, uint64_t bytes, uint32_t alignment)
{
    return offset % alignment == 0 && bytes <= r->arena && offset <= r->arena - bytes;
}

/* Bytes that [rows][width] values take, the slack not included; more than any plan has where that is so
 * many that the product could overflow. */
static uint64_t extent(uint32_t rows, uint32_t pitch, uint64_t row)
{
    const uint64_t before = (uint64_t)(rows - 1) * pitch;
    return before < ER_CONSTANT && row < ER_CONSTANT ? before + row : ER_CONSTANT;
}

/* Whether rows follow each other. What is written has to, so that no call takes more time than the size
 * of the arena allows. */
static int apart(uint32_t rows, uint32_t pitch, uint64_t row) { return rows == 1 || pitch >= row; }

/* Whether an input is there, with the slack that kernels may read. The lane's own comes after it. */
static int readable(const reader *r, uint32_t operand, uint64_t bytes, uint32_t alignment)
{
    if (operand & ER_CONSTANT)
        return in_plan(r, operand & ~ER_CONSTANT, bytes + ER_SLACK, alignment);
    return in_lane(r, operand, bytes, alignment);
}

static int is_binary(uint32_t kernel)
{
    switch (kernel) {
    case ER_ADD_S8: case ER_MUL_S8: case ER_ADD_S16: case ER_MUL_S16: case ER_ADD_F32: case ER_SUB_F32:
    case ER_MUL_F32: case ER_SQUARED_DIFFERENCE_F32: case ER_MINIMUM_F32:
        return 1;
    default:
        return 0;
    }
}

static uint32_t input_size(uint32_t kernel)
{
    switch (kernel) {
    case ER_COPY: case ER_LOOKUP_S8: case ER_ADD_S8: case ER_MUL_S8: case ER_DEQUANTIZE_S8: case ER_MAX_S8:
    case ER_MATMUL_S8:
        return 1;
    case ER_ADD_S16: case ER_MUL_S16: case ER_RESCALE_S16: case ER_SIGMOID_S16: case ER_TANH_S16:
    case ER_DEQUANTIZE_S16: case ER_MAX_S16: case ER_MATMUL_S16:
        return 2;
    default:
        return 4;
    }
}

static uint32_t output_size(uint32_t kernel)
{
    switch (kernel) {
    case ER_QUANTIZE_S8:
        return 1;
    case ER_QUANTIZE_S16:
        return 2;
    case ER_DEQUANTIZE_S8: case ER_DEQUANTIZE_S16:
        return 4;
    default:
        return input_size(kernel);
    }
}

static int in_range(int32_t value, int32_t low, int32_t high) { return low <= value && value <= high; }

static const char *check_numbers(const reader *r, uint32_t kernel, const er_map *p)
{
    const int small = in_range(p->zero0, -128, 127) && in_range(p->zero1, -128, 127) &&
                      in_range(p->zero, -128, 127) && p->low <= p->high;
    const int shifts = in_range(p->shift0, -31, 0) && in_range(p->shift1, -31, 0) &&
                       in_range(p->shift, -31, 30);
    const int curve = kernel == ER_SIGMOID_S16 || kernel == ER_TANH_S16;
    if (!small || !(curve ? in_range(p->shift, 0, 31) : shifts))
        return "a multiplier or a zero_point is out of range";
    if (curve && !in_plan(r, p->table, 512, 2))
        return OUTSIDE;
    if (kernel == ER_LOOKUP_S8 && !in_plan(r, p->table, 256, 1))
        return OUTSIDE;
    return 0;
}

static uint64_t distance(int64_t one, int64_t other) { return (uint64_t)(one < other ? other - one : one - other); }

/* Whether each row of a copy is `width` bytes or more away from where it goes, as memcpy needs. The
 * distance changes evenly from row to row, so the first and the last row tell, if one is not before and
 * the other behind its target. */
static int copies_apart(const er_call *call, const er_map *p)
{
    if (call->in0 & ER_CONSTANT)
        return 1;
    const int64_t first0 = call->in0, last0 = first0 + (int64_t)(p->rows - 1) * p->pitch0;
    const int64_t first = call->out, last = first + (int64_t)(p->rows - 1) * p->pitch;
    return distance(first0, first) >= p->width && distance(last0, last) >= p->width &&
           (first0 < first) == (last0 < last);
}

static const char *check_map(const reader *r, const er_call *call)
{
    const er_map *p = (const er_map *)(r->bytes + call->params);
    const uint32_t kernel = call->kernel, size = input_size(kernel), result = output_size(kernel);
    if (!in_plan(r, call->params, sizeof *p, 4))
        return OUTSIDE;
    if (p->rows == 0 || p->width == 0 || p->step0 > 1 || p->step1 > 1 || p->pitch0 % size || p->pitch1 % size ||
        p->pitch % result || !apart(p->rows, p->pitch, (uint64_t)p->width * result))
        return "a shape is empty or not aligned";
    if (!is_binary(kernel) && (p->step0 != 1 || p->pitch1 || call->in1))
        return "it has a second input or a repeated value where there is none";
    const uint64_t width0 = p->step0 ? p->width : 1, width1 = p->step1 ? p->width : 1;
    if (!readable(r, call->in0, extent(p->rows, p->pitch0, width0 * size), size) ||
        (is_binary(kernel) && !readable(r, call->in1, extent(p->rows, p->pitch1, width1 * size), size)) ||
        !in_lane(r, call->out, extent(p->rows, p->pitch, (uint64_t)p->width * result), result))
        return OUTSIDE;
    if (kernel == ER_COPY && !copies_apart(call, p))
        return "a copy overlaps its source";
    return check_numbers(r, kernel, p);
}

static const char *check_reduction(const reader *r, const er_call *call)
{
    const er_reduction *p = (const er_reduction *)(r->bytes + call->params);
    const uint32_t size = input_size(call->kernel);
    if (!in_plan(r, call->params, sizeof *p, 4))
        return OUTSIDE;
    const uint64_t row = (uint64_t)p->width * size;
    if (p->outer == 0 || p->count == 0 || p->width == 0 || p->pitch_outer % size || p->pitch_count % size ||
        p->pitch % size || !apart(p->count, p->pitch_count, row) || !apart(p->outer, p->pitch, row))
        return "a shape is empty or not aligned";
    if (call->in1)
        return "it has a second input where there is none";
    const uint64_t one = extent(p->count, p->pitch_count, row);
    if (!readable(r, call->in0, extent(p->outer, p->pitch_outer, one), size))
        return OUTSIDE;
    return in_lane(r, call->out, extent(p->outer, p->pitch, row), size) ? 0 : OUTSIDE;
}

/* The table has to be a constant, so that no row that is copied overlaps what is written. */
static const char *check_gather(const reader *r, const er_call *call)
{
    const er_gather_params *p = (const er_gather_params *)(r->bytes + call->params);
    if (!in_plan(r, call->params, sizeof *p, 4))
        return OUTSIDE;
    if (p->count == 0 || p->width == 0 || p->rows == 0 || p->rows > INT32_MAX || p->pitch1 % 4 ||
        !apart(p->count, p->pitch, p->width))
        return "a shape is empty or not aligned";
    if (!(call->in0 & ER_CONSTANT))
        return "a table is not a constant";
    return readable(r, call->in0, extent(p->rows, p->pitch0, p->width), 1) &&
                   readable(r, call->in1, extent(p->count, p->pitch1, 4), 4) &&
                   in_lane(r, call->out, extent(p->count, p->pitch, p->width), 1)
               ? 0
               : OUTSIDE;
}

static uint64_t up(uint64_t value, uint64_t multiple) { return (value + multiple - 1) / multiple * multiple; }

static uint64_t weight_bytes(const reader *r, uint32_t kernel, const er_matmul *p)
{
    const uint64_t values = r->layout == ER_ROWS || p->wide ? (uint64_t)p->out * up(p->in, 16)
                            : kernel == ER_MATMUL_F32       ? up(p->out, 16) * p->in
                            : kernel == ER_MATMUL_S16       ? up(p->out, 16) * up(p->in, 2)
                                                            : up(p->out, 16) * up(p->in, 4);
    return kernel == ER_MATMUL_F32 ? 4 * values : values;
}

static int shifts_fit(const reader *r, uint32_t kernel, const er_matmul *p)
{
    const int32_t *shifts = (const int32_t *)(r->bytes + p->shifts);
    const int32_t low = kernel == ER_MATMUL_S16 ? 1 : p->wide ? -30 : 0;
    const int32_t high = kernel == ER_MATMUL_S16 ? 62 : 31;
    for (uint32_t o = 0; o < p->out; o++)
        if (!in_range(shifts[o], low, high))
            return 0;
    return 1;
}

static const char *check_matmul(const reader *r, const er_call *call)
{
    const er_matmul *p = (const er_matmul *)(r->bytes + call->params);
    const uint32_t kernel = call->kernel, size = input_size(kernel);
    const uint64_t result = kernel == ER_MATMUL_S8 ? 1 : kernel == ER_MATMUL_S16 ? 2 : 4;
    if (!in_plan(r, call->params, sizeof *p, 4))
        return OUTSIDE;
    if (p->rows == 0 || p->in == 0 || p->out == 0 || p->pitch0 % size || p->pitch % result ||
        !apart(p->rows, p->pitch, p->out * result))
        return "a shape is empty or not aligned";
    if (p->wide > (kernel != ER_MATMUL_F32) || (call->in1 && kernel != ER_MATMUL_HYBRID))
        return "a matmul is of a kind that there is not";
    const uint64_t outs = up(p->out, 16);
    const uint64_t bias = kernel == ER_MATMUL_S16 ? 8 : 4;
    if (!readable(r, call->in0, extent(p->rows, p->pitch0, (uint64_t)p->in * size), size) ||
        !in_lane(r, call->out, extent(p->rows, p->pitch, p->out * result), (uint32_t)result) ||
        !in_plan(r, p->weights, weight_bytes(r, kernel, p), 64) ||
        !in_plan(r, p->bias, outs * bias, (uint32_t)bias))
        return OUTSIDE;
    if (kernel == ER_MATMUL_F32)
        return 0;
    if (!in_plan(r, p->mults, outs * 4, 4) || !in_plan(r, p->shifts, outs * 4, 4))
        return OUTSIDE;
    if (kernel == ER_MATMUL_HYBRID) {
        const int scratch = !(call->in1 & ER_CONSTANT) && in_lane(r, call->in1, up(p->in, 16), 16);
        return scratch ? 0 : OUTSIDE;
    }
    return shifts_fit(r, kernel, p) && in_range(p->zero, -128, 127) && p->low <= p->high
               ? 0
               : "a multiplier or a zero_point is out of range";
}

static const char *check_call(const reader *r, const er_kernels *kernels, const er_call *call)
{
    if (call->kernel >= ER_KERNEL_COUNT || !kernels->kernel[call->kernel])
        return "a kernel is unknown";
    switch (call->kernel) {
    case ER_MEAN_F32: case ER_MAX_S8: case ER_MAX_S16: case ER_MAX_F32:
        return check_reduction(r, call);
    case ER_MATMUL_S8: case ER_MATMUL_S16: case ER_MATMUL_F32: case ER_MATMUL_HYBRID:
        return check_matmul(r, call);
    case ER_GATHER:
        return check_gather(r, call);
    default:
        return check_map(r, call);
    }
}

static uint32_t end_size(uint32_t type) { return type == ER_S8 ? 1 : type == ER_S16 ? 2 : 4; }

static uint64_t end_of(const er_end *end)
{
    return end->offset + (uint64_t)end->count * end_size(end->type);
}

/* Inputs and outputs after the first are the states before and after: those after a run are copied to
 * those before the next one, one after the other. */
static const char *check_states(const er_end *ends, uint32_t count)
{
    for (uint32_t k = 1; k < count; k++) {
        const er_end *after = ends + count + k;
        if (after->type != ends[k].type || after->count != ends[k].count)
            return "a state has two shapes";
        for (uint32_t n = 1; n < count; n++)
            if (after->offset < end_of(&ends[n]) && ends[n].offset < end_of(after))
                return "a state after a run overlaps one before it";
    }
    return 0;
}

static const char *check_ends(const reader *r, const er_plan *plan)
{
    const uint64_t count = (uint64_t)plan->input_count + plan->output_count;
    const er_end *ends = (const er_end *)(r->bytes + plan->ends);
    if (plan->input_count == 0 || plan->output_count == 0 || count > MOST_ENDS)
        return "it has no input, no output, or too many";
    if (!in_plan(r, plan->ends, count * sizeof *ends, 4))
        return OUTSIDE;
    for (uint64_t k = 0; k < count; k++) {
        if (ends[k].type > ER_S32 || ends[k].count == 0)
            return "an input or output is unknown";
        const uint32_t size = end_size(ends[k].type);
        if (!in_lane(r, ends[k].offset, (uint64_t)ends[k].count * size, size))
            return OUTSIDE;
    }
    return plan->input_count == plan->output_count ? check_states(ends, plan->input_count) : 0;
}

const char *er_check(const er_kernels *kernels, const void *plan, size_t size)
{
    const er_plan *header = plan;
    if ((uintptr_t)plan % ER_ALIGNMENT)
        return "it is not at an address that is a multiple of 64";
    if (size < sizeof *header || header->magic != ER_MAGIC || header->size != size || size >= ER_CONSTANT)
        return "it is no plan of this version";
    if (header->layout != kernels->layout)
        return "it is for other kernels";
    if (header->arena % ER_ALIGNMENT || header->arena >= ER_CONSTANT)
        return "its arena is too large";
    const reader r = {plan, size, header->arena, header->layout};
    if (!in_plan(&r, header->calls, (uint64_t)header->call_count * sizeof(er_call), 4))
        return OUTSIDE;
    const char *problem = check_ends(&r, header);
    const er_call *calls = (const er_call *)(r.bytes + header->calls);
    for (uint32_t k = 0; !problem && k < header->call_count; k++)
        problem = check_call(&r, kernels, &calls[k]);
    return problem;
}
