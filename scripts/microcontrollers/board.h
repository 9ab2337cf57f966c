/* What a program on an emulated board may call. Everything goes through semihosting: the files are those of
 * this machine, in the folder where qemu was started. */
#ifndef BOARD_H
#define BOARD_H

#include <stddef.h>
#include <stdint.h>

void board_print(const char *text);

/* Ends the program with this exit code. */
void board_exit(int code);

/* The bytes read from `offset` on, at most `size`; 0 without the file. */
size_t board_read(const char *name, size_t offset, void *to, size_t size);

/* Adds bytes to the file, which is made if it is missing. */
void board_append(const char *name, const void *from, size_t size);

/* Fills the free memory below the stack, and tells how many bytes of it were used since. Both count from
 * the caller's frame on. */
void board_paint_stack(void);
size_t board_stack(void);

/* Notes how many instructions have run, for count_marks.c. An instruction that does nothing is the mark. */
#ifdef __riscv
#define BOARD_MARK() __asm__ volatile(".option push\n.option norvc\nslti x0, x0, 0x7c\n.option pop" ::: "memory")
#elif defined __ARM_ARCH_6M__
#define BOARD_MARK() __asm__ volatile("mov r9, r9" ::: "memory")
#else
#define BOARD_MARK() __asm__ volatile("dbg #5" ::: "memory")
#endif

#endif
