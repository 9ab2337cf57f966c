/* board.h by semihosting, as Arm and RISC-V define it with the same numbers. */
#include "board.h"

#include <string.h>

enum { SYS_OPEN = 1, SYS_CLOSE = 2, SYS_WRITE0 = 4, SYS_WRITE = 5, SYS_READ = 6, SYS_SEEK = 10, SYS_FLEN = 12 };
enum { SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };
enum { READ_BINARY = 1, APPEND_BINARY = 9 };
enum { FILL = 0xa5, MOST = 1 << 16 };

extern uint8_t _end[]; /* of the linker script: where free memory begins */
static uint8_t *painted;

#ifdef __riscv
/* The three instructions must be in one page. The arguments are where a call has them. */
intptr_t semihosting_call(intptr_t number, const void *arguments);
__asm__(".text\n.balign 16\n.option push\n.option norvc\nsemihosting_call:\n"
        "slli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\nret\n.option pop");
#define call semihosting_call
#else
static intptr_t call(intptr_t number, const void *arguments) {
  register intptr_t r0 __asm__("r0") = number;
  register const void *r1 __asm__("r1") = arguments;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}
#endif

void board_print(const char *text) { call(SYS_WRITE0, text); }

void board_exit(int code) {
  intptr_t arguments[] = {APPLICATION_EXIT, code};
  call(SYS_EXIT_EXTENDED, arguments);
}

static intptr_t open(const char *name, intptr_t mode) {
  intptr_t arguments[] = {(intptr_t)name, mode, (intptr_t)strlen(name)};
  return call(SYS_OPEN, arguments);
}

size_t board_read(const char *name, size_t offset, void *to, size_t size) {
  intptr_t file = open(name, READ_BINARY);
  if (file < 0) return 0;
  intptr_t place[] = {file, (intptr_t)offset}, arguments[] = {file, (intptr_t)to, (intptr_t)size};
  size_t missing = call(SYS_SEEK, place) < 0 ? size : (size_t)call(SYS_READ, arguments);
  call(SYS_CLOSE, &file);
  return size - missing;
}

void board_append(const char *name, const void *from, size_t size) {
  intptr_t file = open(name, APPEND_BINARY);
  intptr_t end[] = {file, call(SYS_FLEN, &file)}, arguments[] = {file, (intptr_t)from, (intptr_t)size};
  call(SYS_SEEK, end); /* qemu 7.2 opens the file for appending but does not append */
  call(SYS_WRITE, arguments);
  call(SYS_CLOSE, &file);
}

void board_paint_stack(void) {
  uint8_t *top = __builtin_frame_address(0);
  painted = top - _end > MOST ? top - MOST : _end;
  for (volatile uint8_t *byte = painted; byte < top - 64; byte++) *byte = FILL;
}

size_t board_stack(void) {
  const uint8_t *byte = painted, *top = __builtin_frame_address(0);
  while (byte < top && *byte == FILL) byte++;
  return (size_t)(top - byte);
}
