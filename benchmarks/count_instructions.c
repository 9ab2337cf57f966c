/* A TCG plugin of qemu (user mode, aarch64): counts the guest's executed instructions by their kind, and the
 * misses of its data caches. It notes both at every getppid system call, which a program makes to mark a
 * place. When the program ends, it writes them to the file `out=`: a line for each mark, with the counts of
 * `struct counts` in their order and then the misses of each level.
 *
 *     -plugin count.so,out=FILE,cache=SIZE:WAYS,cache=SIZE:WAYS
 *
 * `cache=` describes one level, the first of them L1: its size in bytes and its associativity. Lines have
 * 64 bytes, replacement is LRU, a miss of one level is an access to the next, loads and stores count alike,
 * and nothing is prefetched. Addresses are those of the program, not of the memory behind them.
 *
 * The prototypes are those of qemu's plugin API, version 1; its header is in no package of Debian 12. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GETPPID 173 /* aarch64 */
#define MOST_MARKS 100000
#define MOST_LEVELS 3
#define LINE_BITS 6
#define EXPORT __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
typedef uint32_t qemu_plugin_meminfo_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t,
                                           void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int, void *, uint64_t);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *,
                                      void (*)(unsigned, qemu_plugin_meminfo_t, uint64_t, void *), int, int,
                                      void *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t,
                                          void (*)(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t,
                                                   uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                                   uint64_t));
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
unsigned qemu_plugin_mem_size_shift(qemu_plugin_meminfo_t);

EXPORT int qemu_plugin_version = 1;

/* The lines of each set, the most recently used first; 0: none. */
struct cache {
  uint64_t *lines, misses;
  size_t sets, ways;
};

/* board_time.py says what each count is for. */
struct counts {
  uint64_t all;
  uint64_t vector;   /* arithmetic in vector registers, floating point included */
  uint64_t multiply; /* of them, multiplications of vectors of integers, without dot products */
  uint64_t floats;   /* of them, arithmetic with 128-bit vectors of floats */
  uint64_t scalar;   /* loads and stores of general registers */
  uint64_t pieces;   /* accesses of at most 8 bytes by loads and stores of vector registers */
};

struct mark {
  struct counts counts;
  uint64_t misses[MOST_LEVELS];
};

static struct counts counts;
static struct cache levels[MOST_LEVELS];
static size_t depth, count;
static struct mark marks[MOST_MARKS];
static char path[4096];

/* Whether the cache had the line, which becomes the first of its set. */
static int touch(struct cache *cache, uint64_t line) {
  uint64_t *set = cache->lines + (line % cache->sets) * cache->ways;
  size_t place = 0;
  while (place < cache->ways - 1 && set[place] != line) place++;
  int hit = set[place] == line;
  memmove(set + 1, set, place * sizeof *set);
  set[0] = line;
  return hit;
}

static void accessed(unsigned cpu, qemu_plugin_meminfo_t info, uint64_t address, void *data) {
  uint64_t last = (address + (1u << qemu_plugin_mem_size_shift(info)) - 1) >> LINE_BITS;
  counts.pieces += data != NULL;
  for (uint64_t line = address >> LINE_BITS; line <= last; line++)
    for (size_t level = 0; level < depth && !touch(&levels[level], line); level++) levels[level].misses++;
}

/* The groups of the Arm Architecture Reference Manual's encoding index for A64. */
static int is_memory(uint32_t word) { return (word >> 25 & 5) == 4; }
static int of_vector_registers(uint32_t word) { return word >> 26 & 1; }
static int is_vector(uint32_t word) { return (word >> 25 & 7) == 7; }
static int is_three_different(uint32_t word) { return (word & 0x9f200c00) == 0x0e200000; }
static int is_three_same(uint32_t word) { return (word & 0x9f200400) == 0x0e200400; }
static int is_by_element(uint32_t word) { return (word & 0x9f000400) == 0x0f000000; }

/* Whether it is a multiplication of vectors of integers. The masks have a bit for each opcode. */
static int is_multiply(uint32_t word) {
  uint32_t opcode = word >> 12 & 15;
  if (is_three_different(word)) return 0x3f00 >> opcode & 1; /* SMLAL to SQDMULL */
  if (is_three_same(word)) return 0x4c0000 >> (word >> 11 & 31) & 1; /* MLA, MUL, SQDMULH */
  return is_by_element(word) && (0x3ddd >> opcode & 1);
}

/* Whether it is arithmetic with 128-bit vectors of floats. */
static int is_floats(uint32_t word) {
  if (!(word >> 30 & 1)) return 0;
  if (is_three_same(word)) return (word >> 11 & 31) >= 24;
  return is_by_element(word) && (0x222 >> (word >> 12 & 15) & 1); /* FMLA, FMLS, FMUL */
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  size_t instructions = qemu_plugin_tb_n_insns(block);
  struct counts found = {instructions, 0, 0, 0, 0, 0};
  for (size_t k = 0; k < instructions; k++) {
    struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, k);
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(instruction), sizeof word);
    int vector_memory = is_memory(word) && of_vector_registers(word);
    found.scalar += is_memory(word) && !vector_memory;
    found.vector += is_vector(word);
    found.multiply += is_multiply(word);
    found.floats += is_floats(word);
    if (depth)
      qemu_plugin_register_vcpu_mem_cb(instruction, accessed, 0 /* no registers */,
                                       3 /* loads and stores */, vector_memory ? &counts : NULL);
  }
  uint64_t *total = (uint64_t *)&counts, *here = (uint64_t *)&found;
  for (size_t k = 0; k < sizeof counts / sizeof *total; k++)
    if (here[k]) qemu_plugin_register_vcpu_tb_exec_inline(block, 0 /* add */, &total[k], here[k]);
}

static void called(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c,
                   uint64_t d, uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
  if (number != GETPPID || count == MOST_MARKS) return;
  marks[count].counts = counts;
  for (size_t level = 0; level < depth; level++) marks[count].misses[level] = levels[level].misses;
  count++;
}

static void ended(qemu_plugin_id_t id, void *data) {
  FILE *file = fopen(path, "w");
  if (!file) return;
  for (size_t k = 0; k < count; k++) {
    const struct counts *found = &marks[k].counts;
    fprintf(file, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, found->all,
            found->vector, found->multiply, found->floats, found->scalar, found->pieces);
    for (size_t level = 0; level < depth; level++) fprintf(file, " %" PRIu64, marks[k].misses[level]);
    fputc('\n', file);
  }
  fclose(file);
}

/* Adds the level that `SIZE:WAYS` describes; false where it is not one. */
static int add_level(const char *text) {
  char *end;
  size_t size = strtoull(text, &end, 10);
  size_t ways = *end == ':' ? strtoull(end + 1, NULL, 10) : 0;
  if (depth == MOST_LEVELS || !ways || !(size >> LINE_BITS) || (size >> LINE_BITS) % ways) return 0;
  struct cache *cache = &levels[depth++];
  cache->ways = ways;
  cache->sets = (size >> LINE_BITS) / ways;
  cache->lines = calloc(size >> LINE_BITS, sizeof *cache->lines);
  return cache->lines != NULL;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
  for (int k = 0; k < argc; k++) {
    if (!strncmp(argv[k], "out=", 4)) snprintf(path, sizeof path, "%s", argv[k] + 4);
    if (!strncmp(argv[k], "cache=", 6) && !add_level(argv[k] + 6)) return 1;
  }
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_vcpu_syscall_cb(id, called);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
