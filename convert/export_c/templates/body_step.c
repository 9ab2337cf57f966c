static void reset(uint8_t *arena)
{
@resets@}

static void step(uint8_t *arena, const @name@_value *row)
{
    memcpy(arena + @input_offset@, row, @NAME@_FEATURES * sizeof *row);
    run_calls(arena);
@passes@}

int @name@_run(@name@_model *model, const @name@_value *window, @name@_logit *logits)
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

int @name@_push(@name@_stream *stream, const @name@_value *row, @name@_logit *logits)
{
    uint8_t *arena = (uint8_t *)stream->model.arena;
    step(arena, row);
    if (++stream->rows < stream->hop)
        return 0;
    stream->rows = 0;
    return read_logits(arena, logits) ? @NAME@_NOT_FINITE : 1;
}
