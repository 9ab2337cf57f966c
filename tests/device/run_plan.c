/* Runs plans of the native engine with nothing but the C library of the system:
 *
 *     run_plan LIBRARY KERNELS PLAN INPUT
 *
 * prints the bytes of the outputs as hexadecimal digits. An exit status of 2 means that the library has no
 * such kernels, 1 that something is wrong.
 */
#include "edge_rnn.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef const er_kernels *find_kernels(const char *);
typedef const char *check(const er_kernels *, const void *, size_t);
typedef size_t lane_stride(const er_plan *);
typedef void run(const er_kernels *, const er_plan *, void *, uint32_t);

static unsigned char *bytes_of(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(1);
    fseek(file, 0, SEEK_END);
    *size = (size_t)ftell(file);
    rewind(file);
    unsigned char *bytes = aligned_alloc(ER_ALIGNMENT, (*size / ER_ALIGNMENT + 1) * ER_ALIGNMENT);
    if (!bytes || fread(bytes, 1, *size, file) != *size)
        exit(1);
    fclose(file);
    return bytes;
}

static size_t bytes_in(const er_end *end)
{
    return end->count * (end->type == ER_S8 ? 1u : end->type == ER_S16 ? 2u : 4u);
}

int main(int count, char **words)
{
    if (count != 5)
        return 1;
    void *library = dlopen(words[1], RTLD_NOW);
    if (!library)
        return fprintf(stderr, "%s\n", dlerror()), 1;
    const er_kernels *kernels = ((find_kernels *)dlsym(library, "er_find_kernels"))(words[2]);
    if (!kernels)
        return 2;
    size_t size, given;
    unsigned char *block = bytes_of(words[3], &size), *input = bytes_of(words[4], &given);
    const char *problem = ((check *)dlsym(library, "er_check"))(kernels, block, size);
    if (problem)
        return fprintf(stderr, "%s\n", problem), 1;
    const er_plan *plan = (const er_plan *)block;
    const er_end *ends = (const er_end *)(block + plan->ends), *outputs = ends + plan->input_count;
    if (bytes_in(ends) != given)
        return fprintf(stderr, "the input has %zu bytes\n", bytes_in(ends)), 1;
    size_t stride = ((lane_stride *)dlsym(library, "er_lane_stride"))(plan);
    unsigned char *arena = aligned_alloc(ER_ALIGNMENT, (stride / ER_ALIGNMENT + 1) * ER_ALIGNMENT);
    if (!arena)
        return 1;
    memset(arena, 0, stride);
    memcpy(arena + ends[0].offset, input, given);
    ((run *)dlsym(library, "er_run"))(kernels, plan, arena, 1);
    for (uint32_t k = 0; k < plan->output_count; k++)
        for (size_t byte = 0; byte < bytes_in(&outputs[k]); byte++)
            printf("%02x", arena[outputs[k].offset + byte]);
    printf("\n");
    return 0;
}
