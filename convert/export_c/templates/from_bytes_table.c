static const @name@_value of_byte[256] = {
@table@};

void @name@_from_bytes(const uint8_t *raw, uint32_t rows, @name@_value *values)
{
    er_look_up_@input@(raw, (size_t)rows * @NAME@_FEATURES, of_byte, values);
}
