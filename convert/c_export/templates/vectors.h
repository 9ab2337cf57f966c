/* Golden vectors of @name@, written by edge-rnn @version@: raw windows, what the model's input tensor holds for
 * them, and what its output tensor must hold afterwards, bit for bit, as @engine@ computed it.
 *
 * SHA-256 of the model: @digest@.
 * docs/guides/parity-report.md says how to replay them. */
#ifndef @NAME@_VECTORS_H
#define @NAME@_VECTORS_H

#include <stdint.h>

#define @NAME@_VECTORS @count@
#define @NAME@_VECTOR_VALUES @values@ /* @steps@ rows of @features@ */
#define @NAME@_VECTOR_OUTPUTS @output_count@

/* The position of each window in the data. */
static const uint32_t @name@_vector_windows[@NAME@_VECTORS] = {
@windows@};

/* In the unit of the training data. */
static const @raw_type@ @name@_vector_raw[@NAME@_VECTORS][@NAME@_VECTOR_VALUES] = {
@raw@};

/* Normalized, and quantized where the input tensor is integer. */
static const @input_type@ @name@_vector_inputs[@NAME@_VECTORS][@NAME@_VECTOR_VALUES] = {
@inputs@};

/* The output tensor@output_note@. */
static const @output_type@ @name@_vector_outputs[@NAME@_VECTORS][@NAME@_VECTOR_OUTPUTS] = {
@outputs@};

/* The same as real numbers: the logits. */
static const float @name@_vector_logits[@NAME@_VECTORS][@NAME@_VECTOR_OUTPUTS] = {
@logits@};

#endif
