/* SPDX-License-Identifier: MIT */
/*
 * lwIP's tcp_out.c, compiled with another TCPH_SET_FLAG. When a window smaller than a segment makes
 * tcp_split_unsent_seg() split it, the flags that the first part keeps are meant to replace the old
 * ones; lwIP 2.2.1 only adds them. A FIN then stays on the first part, and the peer takes what
 * follows for nothing: the stream's last bytes are lost.
 */
#include "lwip/opt.h"
#include "lwip/priv/tcp_priv.h"

#define ADD_FLAG(header, flag)  ((header)->_hdrlen_rsvd_flags |= lwip_htons(flag))
#define SET_TCP_ACK(header)     ADD_FLAG(header, TCP_ACK)
#define SET_TCP_PSH(header)     ADD_FLAG(header, TCP_PSH)
#define SET_TCP_FIN(header)     ADD_FLAG(header, TCP_FIN)
#define SET_split_flags(header) TCPH_FLAGS_SET(header, split_flags)
#undef TCPH_SET_FLAG
#define TCPH_SET_FLAG(header, flag) SET_##flag(header)

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "../core/tcp_out.c"
#pragma GCC diagnostic pop
