/* SPDX-License-Identifier: MIT */
/* The kernel's view of the boot bundle (motor/bundle.h): checked once, then found by path. */
#ifndef KERNEL_BUNDLE_H
#define KERNEL_BUNDLE_H

#include <motor/bundle.h>
#include <stdbool.h>

/* Checks the header and tables. NULL: sound; else one line saying what is wrong. */
const char *bundle_open(const void *data, uint64_t size);
uint64_t bundle_size(void); /* total, a multiple of a page */
/*
 * A file whose place and hash are right: its entry, NULL if there is none; *error says what is
 * wrong.
 */
const struct motor_bundle_entry *bundle_file(const char *path, const char **error);
const void *bundle_data(const struct motor_bundle_entry *e);

#endif
