/* SPDX-License-Identifier: MIT */
/*
 * Making boot bundles (<motor/bundle.h>) on the host; used by mkbundle and motor-run.
 *
 * A bundle is a set of guest paths, each a file, directory or symbolic link. Adding a path that is
 * there replaces it; missing parent directories are made. File data is not copied but mapped or
 * borrowed, so what is passed in must outlive the bundle. Functions that can fail return false and
 * leave a message in bundle_error().
 */
#ifndef MOTOR_TOOLS_BUNDLE_H
#define MOTOR_TOOLS_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct bundle;

/* Like all functions here, ends the program when there is no memory. */
struct bundle *bundle_new(void);
void bundle_free(struct bundle *b);
const char *bundle_error(const struct bundle *b);

#define BUNDLE_MODE_OF_FILE ((mode_t)-1) /* take the permissions of the host's file */

bool bundle_add_data(struct bundle *b, const char *path, const void *data, size_t size,
                     mode_t mode);
bool bundle_add_file(struct bundle *b, const char *path, const char *host, mode_t mode);
bool bundle_add_tree(struct bundle *b, const char *path, const char *host); /* and all in it */
bool bundle_add_directory(struct bundle *b, const char *path, mode_t mode);
bool bundle_add_symlink(struct bundle *b, const char *path, const char *target);

/* Everything that is in another bundle, which is checked first. */
bool bundle_add_bundle(struct bundle *b, const char *host);

/*
 * What to start: the file `path` of the guest with argv and envp, both ending in NULL; flags:
 * MOTOR_RUN_*. index 0: the program with which the machine ends; 1 to MOTOR_RUN_COMPANIONS: what
 * runs beside it.
 */
bool bundle_set_run(struct bundle *b, uint32_t index, uint32_t flags, const char *path,
                    char *const *argv, char *const *envp);

bool bundle_write(struct bundle *b, int fd);

/* Whether there is a directory of this path; "" is "/". */
bool bundle_is_directory(struct bundle *b, const char *path);
/* Changes what is there; false: nothing has this path. */
bool bundle_set_owner(struct bundle *b, const char *path, uint32_t uid, uint32_t gid);
bool bundle_set_mode(struct bundle *b, const char *path, mode_t mode);

struct bundle_item {
    const char *path;
    uint32_t type; /* MOTOR_BUNDLE_* */
    mode_t mode;   /* permission bits */
    uint32_t uid, gid;
    const void *data; /* of a file; of a symbolic link: the target, without NUL */
    size_t size;
};
/*
 * Calls each() for what is in the bundle, each path once, directories before what is in them, until
 * it returns false. What it is given stays until the bundle is changed or freed.
 */
bool bundle_each(struct bundle *b, bool (*each)(void *context, const struct bundle_item *item),
                 void *context);

#endif
