/* Runs an export with the name `net` once by window and once by row, for its instructions and its stack. */
#include "board.h"
#include "net.h"

static float raw[NET_STEPS * NET_FEATURES];
static net_value window[NET_STEPS * NET_FEATURES];
static net_model model;
static net_stream stream;

int main(void) {
  net_logit logits[NET_CLASSES];
  uint32_t stack[2], noise = 1;
  for (size_t k = 0; k < NET_STEPS * NET_FEATURES; k++) {
    noise = 1664525u * noise + 1013904223u;
    raw[k] = (float)(noise >> 8) * (2.0f / (1 << 24)) - 1.0f;
  }
  net_from_floats(raw, NET_STEPS, window);
  board_paint_stack();
  net_run(&model, window, logits);
  stack[0] = (uint32_t)board_stack();
  net_start(&stream, 1);
  board_paint_stack();
  net_push(&stream, window, logits);
  stack[1] = (uint32_t)board_stack();
  BOARD_MARK();
  net_run(&model, window, logits);
  BOARD_MARK();
  net_push(&stream, window + NET_FEATURES, logits);
  BOARD_MARK();
  board_append("stack.bin", stack, sizeof stack);
  return 0;
}
