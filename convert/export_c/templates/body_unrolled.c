int @name@_run(@name@_model *model, const @name@_value *window, @name@_logit *logits)
{
    uint8_t *arena = (uint8_t *)model->arena;
    memcpy(arena + @input_offset@, window, @NAME@_STEPS * @NAME@_FEATURES * sizeof *window);
    run_calls(arena);
    return read_logits(arena, logits);
}

void @name@_start(@name@_stream *stream, uint32_t hop)
{
    stream->hop = hop;
    stream->rows = @NAME@_STEPS; /* until the first logits */
    stream->place = 0;
}

int @name@_push(@name@_stream *stream, const @name@_value *row, @name@_logit *logits)
{
    uint8_t *arena = (uint8_t *)stream->model.arena;
    memcpy(stream->window + stream->place * @NAME@_FEATURES, row, @NAME@_FEATURES * sizeof *row);
    stream->place = (stream->place + 1) % @NAME@_STEPS;
    if (--stream->rows > 0)
        return 0;
    stream->rows = stream->hop;
    /* The oldest row is at `place`. */
    const uint32_t first = (@NAME@_STEPS - stream->place) * @NAME@_FEATURES;
    @name@_value *input = (@name@_value *)(arena + @input_offset@);
    memcpy(input, stream->window + stream->place * @NAME@_FEATURES, first * sizeof *row);
    memcpy(input + first, stream->window, stream->place * @NAME@_FEATURES * sizeof *row);
    run_calls(arena);
    return read_logits(arena, logits) ? @NAME@_NOT_FINITE : 1;
}
