/* SPDX-License-Identifier: MIT */
/* See mqueue_limits.h: Linux's defaults. */
#include "mqueue_limits.h"

struct mqueue_limits mqueue_limits = {.queues_max = 256,
                                      .msg_max = 10,
                                      .msgsize_max = 8192,
                                      .msg_default = 10,
                                      .msgsize_default = 8192};
