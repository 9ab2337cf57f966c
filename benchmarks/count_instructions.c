/* A TCG plugin of qemu (user mode): counts the guest's executed instructions, and writes the count at every
 * getppid system call, which a program makes to mark a place, to the file `out=` when the program ends.
 *
 * The prototypes are those of qemu's plugin API, version 1; its header is in no package of Debian 12. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define GETPPID 173 /* aarch64 */
#define MOST_MARKS 100000
#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t,
                                          void (*)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t,
                                                   uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                   uint64_t));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

EXPORT int qemu_plugin_version = 1;

static uint64_t executed, marks[MOST_MARKS];
static size_t count;
static char path[4096];

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  qemu_plugin_register_vcpu_tb_exec_inline(block, 0 /* add */, &executed, qemu_plugin_tb_n_insns(block));
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c,
                   uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
  if (number == GETPPID && count < MOST_MARKS) marks[count++] = executed;
}

static void ended(qemu_plugin_id_t id, void *data) {
  FILE *file = fopen(path, "w");
  if (!file) return;
  for (size_t k = 0; k < count; k++) fprintf(file, "%" PRIu64 "\n", marks[k]);
  fclose(file);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
  for (int k = 0; k < argc; k++)
    if (argv[k][0] == 'o') snprintf(path, sizeof path, "%s", argv[k] + 4 /* out= */);
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
