/* Runs the model's own probes. The exit code is 0 if every bit is as expected, otherwise the number of the first
 * probe that differs. */
#include "@name@_probes.h"

int main(void) { return @name@_failed_probe(); }
