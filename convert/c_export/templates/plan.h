/* What @name@ computes, as edge_rnn/edge_rnn.h describes a plan: header, weights and other constants, parameters,
 * calls. Little-endian. */
#ifndef @NAME@_PLAN_H
#define @NAME@_PLAN_H

#include <stdint.h>

#define @NAME@_CALLS @calls@u /* offset of the first call */
#define @NAME@_CALL_COUNT @call_count@u

extern const uint64_t @name@_plan[@words@];

#endif
