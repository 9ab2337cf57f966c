/* The probes of @name@: raw windows, and the logits that edge-rnn's own engine computed when this was exported. */
#ifndef @NAME@_PROBES_H
#define @NAME@_PROBES_H

#ifdef __cplusplus
extern "C" {
#endif

/* 0 if every bit of every logit is as expected, otherwise the number of the first probe that differs, from 1. */
int @name@_failed_probe(void);

#ifdef __cplusplus
}
#endif

#endif
