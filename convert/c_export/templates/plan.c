/* See @name@_plan.h. */
#include "@name@_plan.h"

const uint64_t @name@_plan[@words@] = {
@plan@};
