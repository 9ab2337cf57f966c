/* What a RISC-V does first, and the functions that a C compiler expects of a C library. */
#include "board.h"

#include <string.h>

extern uint32_t _data[], _data_end[], _data_source[], _bss[], _bss_end[];
int main(void);

__attribute__((section(".vectors"), naked, used)) static void enter(void) {
#ifdef __riscv_flen
  __asm__ volatile(".option arch, +zicsr\nli t0, 0x2000\ncsrs mstatus, t0"); /* the FPU's state: initial */
#endif
  __asm__ volatile(".option arch, +zicsr\nla t0, trap\ncsrw mtvec, t0\nla sp, _stack\nj reset");
}

__attribute__((used)) static void reset(void) {
  memcpy(_data, _data_source, (size_t)((char *)_data_end - (char *)_data));
  memset(_bss, 0, (size_t)((char *)_bss_end - (char *)_bss));
  board_exit(main());
}

__attribute__((used, aligned(4))) static void trap(void) {
  board_print("the processor stopped with a trap\n");
  board_exit(70);
}

#pragma GCC optimize("no-tree-loop-distribute-patterns") /* or memcpy would call itself */

void *memcpy(void *to, const void *from, size_t size) {
  char *target = to;
  for (const char *source = from; size--;) *target++ = *source++;
  return to;
}

void *memset(void *to, int value, size_t size) {
  for (char *target = to; size--;) *target++ = (char)value;
  return to;
}

int memcmp(const void *left, const void *right, size_t size) {
  const unsigned char *a = left, *b = right;
  for (; size--; a++, b++)
    if (*a != *b) return *a - *b;
  return 0;
}

size_t strlen(const char *text) {
  size_t length = 0;
  while (text[length]) length++;
  return length;
}
