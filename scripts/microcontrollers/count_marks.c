/* A TCG plugin of qemu (system mode): counts the guest's executed instructions and writes the count at every
 * BOARD_MARK() of board.h to the file `out=`, a line for each.
 *
 *     -plugin count.so,out=FILE,mark=INSTRUCTION
 *
 * `mark=` is the mark's instruction, its bytes in hexadecimal.
 *
 * The prototypes are those of qemu's plugin API, version 1; its header is in no package of Debian 12. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int, void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

static uint64_t executed;
static unsigned char mark[4];
static size_t mark_size;
static FILE *file;

static void marked(unsigned cpu, void *data) { fprintf(file, "%" PRIu64 "\n", executed); }

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  for (size_t k = 0; k < qemu_plugin_tb_n_insns(block); k++) {
    struct qemu_plugin_insn *one = qemu_plugin_tb_get_insn(block, k);
    if (qemu_plugin_insn_size(one) == mark_size && !memcmp(qemu_plugin_insn_data(one), mark, mark_size))
      qemu_plugin_register_vcpu_insn_exec_cb(one, marked, 0 /* no registers */, NULL);
    else
      qemu_plugin_register_vcpu_insn_exec_inline(one, 0 /* add */, &executed, 1);
  }
}

static void ended(qemu_plugin_id_t id, void *data) { fclose(file); }

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
  for (int k = 0; k < argc; k++) {
    if (!strncmp(argv[k], "out=", 4)) file = fopen(argv[k] + 4, "w");
    for (const char *text = !strncmp(argv[k], "mark=", 5) ? argv[k] + 5 : ""; *text && mark_size < 4; text += 2)
      if (sscanf(text, "%2hhx", &mark[mark_size++]) != 1) return 1;
  }
  if (!file || !mark_size) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
