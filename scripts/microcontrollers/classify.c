/* Classifies the raw windows of windows.bin by an export with the name `net`, and appends the bits of the logits to
 * logits.bin. RAW is the type of a raw value and FROM_RAW the function that takes it. With BY_ROW the rows come one by
 * one. */
#include "board.h"
#include "net.h"

static RAW raw[NET_STEPS * NET_FEATURES];
static net_value window[NET_STEPS * NET_FEATURES];
#ifdef BY_ROW
static net_stream stream;

static int classify(net_logit *logits) {
  int found = 0;
  net_start(&stream, NET_STEPS);
  for (uint32_t row = 0; row < NET_STEPS; row++) found = net_push(&stream, window + row * NET_FEATURES, logits);
  return found == 1;
}
#else
static net_model model;

static int classify(net_logit *logits) { return net_run(&model, window, logits) == 0; }
#endif

int main(void) {
  net_logit logits[NET_CLASSES];
  for (size_t k = 0; board_read("windows.bin", k * sizeof raw, raw, sizeof raw) == sizeof raw; k++) {
    FROM_RAW(raw, NET_STEPS, window);
    if (!classify(logits)) return 1;
    board_append("logits.bin", logits, sizeof logits);
  }
  return 0;
}
