/* Classifies the raw windows of windows.bin by an export with the name `net`, and writes the bits of the logits to
 * logits.bin: for each window those of the whole window, then those of its rows one after the other. RAW is the type
 * of a raw value, FROM_RAW the function that takes it. */
#include "board.h"
#include "net.h"

static RAW raw[NET_STEPS * NET_FEATURES];
static net_value window[NET_STEPS * NET_FEATURES];
static net_model model;
static net_stream stream;

int main(void) {
  net_logit logits[NET_CLASSES];
  for (size_t k = 0; board_read("windows.bin", k * sizeof raw, raw, sizeof raw) == sizeof raw; k++) {
    int found = 0;
    FROM_RAW(raw, NET_STEPS, window);
    net_run(&model, window, logits);
    board_append("logits.bin", logits, sizeof logits);
    net_start(&stream, NET_STEPS);
    for (uint32_t row = 0; row < NET_STEPS; row++) found = net_push(&stream, window + row * NET_FEATURES, logits);
    if (found != 1) return 1;
    board_append("logits.bin", logits, sizeof logits);
  }
  return 0;
}
