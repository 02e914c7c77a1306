/* SPDX-License-Identifier: MIT */
#ifndef PX_MEMFD_H
#define PX_MEMFD_H

#include "file.h"

/* F_GET_SEALS, or with `change` F_ADD_SEALS. */
long px_seal(struct px_file *f, bool change, unsigned long add);

#endif
