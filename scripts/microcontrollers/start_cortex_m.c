/* What a Cortex-M does first: the vectors, the FPU (and MVE, its neighbour), the variables. */
#include "board.h"

#include <string.h>

extern uint32_t _stack[], _data[], _data_end[], _data_source[], _bss[], _bss_end[];
int main(void);

static void reset(void) {
#if __ARM_ARCH_ISA_THUMB == 2
  *(volatile uint32_t *)0xE000ED88 |= 0xFu << 20; /* CPACR: full access to coprocessors 10 and 11 */
  __asm__ volatile("dsb\nisb");
#endif
  memcpy(_data, _data_source, (size_t)((char *)_data_end - (char *)_data));
  memset(_bss, 0, (size_t)((char *)_bss_end - (char *)_bss));
  board_exit(main());
}

static void fault(void) {
  board_print("the processor stopped with a fault\n");
  board_exit(70);
}

__attribute__((section(".vectors"), used)) static void (*const vectors[])(void) = {
    (void (*)(void))_stack, reset, fault, fault, fault, fault, fault, fault,
};
