void @name@_from_bytes(const uint8_t *raw, uint32_t rows, @name@_value *values)
{
    const er_window window = WINDOW(rows);
    er_fill_@input@_from_bytes(&window, raw, values);
}
