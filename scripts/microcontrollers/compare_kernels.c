/* Compares the kernels for the core's special instructions with those in plain C, on random numbers and shapes. The
 * exit code is 0 if all bytes are equal, otherwise 1 and the number of the kernel, see `check`. */
#include "best_kernels.h"
#include "board.h"

enum { TRIALS = 300, MOST_IN = 70, MOST_OUT = 35, PITCH = 80, OUTS = 48, ROOM = 256 };

static uint64_t plan_words[(MOST_OUT * PITCH + 3 * 8 * OUTS + 256 + 64) / 8];
static uint64_t arena_words[5 * ROOM / 4];

static uint32_t state = 1;

static uint32_t noise(void) {
  state = 1664525u * state + 1013904223u;
  return state >> 7;
}

static int32_t between(int32_t low, int32_t high) { return low + (int32_t)(noise() % (uint32_t)(high - low + 1)); }

static void fill(uint8_t *bytes, size_t size) {
  while (size--) *bytes++ = (uint8_t)noise();
}

/* Runs both kernels; false where they write different bytes, behind the results as well. */
static int equal(er_kernel one, er_kernel other, const uint8_t *in0, uint8_t *in1, const void *params, int scratch) {
  static const er_lanes lanes = {1, 0, 0, 0};
  uint8_t *arena = (uint8_t *)arena_words, *first = arena + 5 * ROOM, *second = arena + 7 * ROOM;
  memset(first, 0x5a, 4 * ROOM);
  one(in0, in1, first, params, (const uint8_t *)plan_words, &lanes);
  if (scratch) fill(in1, PITCH);
  other(in0, in1, second, params, (const uint8_t *)plan_words, &lanes);
  return !memcmp(first, second, 2 * ROOM);
}

static int check_map(void) {
  uint8_t *arena = (uint8_t *)arena_words;
  const uint32_t width = (uint32_t)between(1, ROOM / 4), pitch = width + (uint32_t)between(0, 3);
  er_map p = {.rows = (uint32_t)between(1, 3), .width = width, .pitch0 = pitch, .pitch1 = pitch, .pitch = pitch,
              .step0 = (uint32_t)between(0, 4) > 0, .step1 = (uint32_t)between(0, 4) > 0, .table = MOST_OUT * PITCH,
              .zero0 = between(-128, 127), .zero1 = between(-128, 127), .zero = between(-128, 127),
              .mult0 = between(1 << 30, INT32_MAX), .shift0 = -between(0, 12), .mult1 = between(1 << 30, INT32_MAX),
              .shift1 = -between(0, 12), .mult = between(1 << 30, INT32_MAX), .shift = -between(0, 20), .low = -128,
              .high = between(0, 127)};
  if (between(0, 1)) p.mult1 = -p.mult1;
  fill(arena, 4 * ROOM);
  if (!equal(ER_BEST_ADD_S8, er_add_s8, arena, arena + 2 * ROOM, &p, 0)) return 1;
  p.shift = between(-12, 1);
  if (!equal(ER_BEST_MUL_S8, er_mul_s8, arena, arena + 2 * ROOM, &p, 0)) return 2;
  p.step0 = p.step1 = 1;
  return equal(ER_BEST_LOOKUP_S8, er_lookup_s8, arena, arena, &p, 0) ? 0 : 3;
}

static int check_matmul(void) {
  uint8_t *plan = (uint8_t *)plan_words, *arena = (uint8_t *)arena_words;
  const uint32_t in = (uint32_t)between(1, MOST_IN), out = (uint32_t)between(1, MOST_OUT), bias = MOST_OUT * PITCH;
  const uint32_t mults = bias + 8 * OUTS, shifts = mults + 8 * OUTS;
  er_matmul p = {.rows = 1, .in = in, .out = out, .pitch0 = 4 * in, .pitch = 4 * out, .bias = bias, .mults = mults,
                 .shifts = shifts, .zero = between(-128, 127), .low = -128, .high = 127};
  fill(arena, 4 * ROOM);
  memset(plan, 0, sizeof plan_words);
  for (uint32_t o = 0; o < out; o++) {
    fill(plan + o * er_padded(in), in);
    ((int32_t *)(plan + bias))[o] = between(-100000, 100000);
    ((int32_t *)(plan + mults))[o] = between(1 << 30, INT32_MAX);
    ((int32_t *)(plan + shifts))[o] = between(0, 13);
  }
  if (!equal(ER_BEST_MATMUL_S8, er_plain_matmul_s8, arena, arena, &p, 0)) return 4;
  for (uint32_t o = 0; o < out; o++) {
    ((int64_t *)(plan + bias))[o] = between(-1000000, 1000000);
    ((int32_t *)(plan + mults))[o] = between(1 << 14, 1 << 15);
    ((int32_t *)(plan + shifts))[o] = between(15, 30);
  }
  p.low = -32768, p.high = 32767;
  if (!equal(ER_BEST_MATMUL_S16, er_plain_matmul_s16, arena, arena, &p, 0)) return 5;
  for (uint32_t i = 0; i < in; i++) ((float *)arena)[i] = (float)between(-1000, 1000) / 37;
  for (uint32_t o = 0; o < out; o++) {
    ((float *)(plan + bias))[o] = (float)between(-1000, 1000) / 91;
    ((float *)(plan + mults))[o] = (float)between(1, 1000) / 77;
    ((int32_t *)(plan + shifts))[o] = between(-9000, 9000);
  }
  p.low = between(0, 1), p.high = 1;
  return equal(ER_BEST_MATMUL_HYBRID, er_plain_matmul_hybrid, arena, arena + 4 * ROOM, &p, 1) ? 0 : 6;
}

int main(void) {
  for (int trial = 0; trial < TRIALS; trial++) {
    const int failed = check_matmul();
    if (failed) return 1 + failed;
    fill((uint8_t *)plan_words + MOST_OUT * PITCH, 256);
    const int other = check_map();
    if (other) return 1 + other;
  }
  return 0;
}
