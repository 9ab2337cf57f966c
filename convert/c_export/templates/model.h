/* @description@.
 *
 * Written by edge-rnn @version@ from @model@ (SHA-256 of the model:
 * @digest@).
 * C99; needs memcpy and memset of the C library, and no heap.
 *
 * Flash: @flash@ bytes of constants, @weights@ of them weights, and the code.
 * RAM: @ram_model@ bytes for a @name@_model, @ram_stream@ for a @name@_stream, and the stack. */
#ifndef @NAME@_H
#define @NAME@_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define @NAME@_STEPS @steps@u       /* rows of a window */
#define @NAME@_FEATURES @features@u /* values of a row */
#define @NAME@_@COUNT@ @classes@u
#define @NAME@_ARENA_BYTES @arena@u

typedef @input_type@ @name@_value; /* what rows are made of: see @name@_from_@raw_name@ */
typedef @output_type@ @name@_@output@; /* see @name@_real */

@names@

/* The memory of one model. Any number of them may be in use; each belongs to one thread at a time. */
typedef struct {
    uint64_t arena[@NAME@_ARENA_BYTES / 8];
} @name@_model;

/* The same for rows that come one by one. */
typedef struct {
    @name@_model model;
@stream_fields@    uint32_t hop, rows;
} @name@_stream;

/* What the functions with a status return besides 0. */
enum { @statuses@ };

/* A window has STEPS * FEATURES values, a row FEATURES, and @COUNT@ @outputs@ are written. */

/* The @outputs@ of a window. Returns 0@run_status@. */
int @name@_run(@name@_model *model, const @name@_value *window, @name@_@output@ *logits);

@graph_comment@
void @name@_start(@name@_stream *stream, uint32_t hop);
int @name@_push(@name@_stream *stream, const @name@_value *row, @name@_@output@ *logits);

@class_declared@@raw_functions@

/* The @output@ as a real number. */
float @name@_real(@name@_@output@ logit);

#ifdef __cplusplus
}
#endif

#endif
