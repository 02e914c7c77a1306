/* SPDX-License-Identifier: MIT */
/*
 * File systems at the beginning and at the end. What a system has of itself (/dev, /proc, disks
 * that were found) is mounted before process 1; /etc/fstab names what else is wanted.
 */
#include "service.h"

#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

/* ---- mounting ---- */

/* Takes the options that are flags out of the list; what is left is for the file system. */
static unsigned long take_flags(char *options)
{
    static const struct {
        const char *name;
        unsigned long set, clear;
    } known[] = {{"defaults", 0, 0},
                 {"rw", 0, MS_RDONLY},
                 {"ro", MS_RDONLY, 0},
                 {"nosuid", MS_NOSUID, 0},
                 {"nodev", MS_NODEV, 0},
                 {"noexec", MS_NOEXEC, 0},
                 {"sync", MS_SYNCHRONOUS, 0},
                 {"noatime", MS_NOATIME, 0},
                 {"relatime", MS_RELATIME, 0},
                 {"remount", MS_REMOUNT, 0},
                 {"bind", MS_BIND, 0},
                 {"auto", 0, 0},
                 {"nofail", 0, 0}};
    unsigned long flags = 0;
    char *rest = options, *save = NULL;
    for (char *o = strtok_r(options, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        size_t i = 0, n = sizeof known / sizeof *known;
        while (i < n && strcmp(o, known[i].name))
            i++;
        if (i < n) {
            flags = (flags & ~known[i].clear) | known[i].set;
            continue;
        }
        size_t length = strlen(o);
        if (rest != options)
            *rest++ = ',';
        memmove(rest, o, length);
        rest += length;
    }
    *rest = 0;
    return flags;
}

void mounts_add(void)
{
    FILE *table = setmntent("/etc/fstab", "re");
    struct mntent *m;
    while (table && (m = getmntent(table))) {
        if (!strcmp(m->mnt_type, "swap") || hasmntopt(m, "noauto"))
            continue;
        bool may_fail = hasmntopt(m, "nofail") != NULL;
        unsigned long flags = take_flags(m->mnt_opts);
        if (mount(m->mnt_fsname, m->mnt_dir, m->mnt_type, flags, m->mnt_opts) < 0 &&
            !(may_fail && errno == ENOENT))
            say("%s cannot be mounted on %s: %s", m->mnt_fsname, m->mnt_dir, strerror(errno));
    }
    if (table)
        endmntent(table);
}

/* ---- the end ---- */

#define MOUNTS_MAX 256

/* Disks, the last mounted first; the rest is memory and ends with the machine. */
void mounts_remove(void)
{
    char *places[MOUNTS_MAX];
    size_t count = 0;
    FILE *table = setmntent("/proc/mounts", "re");
    struct mntent *m;
    sync();
    while (table && count < MOUNTS_MAX && (m = getmntent(table)))
        if (m->mnt_fsname[0] == '/' && strcmp(m->mnt_dir, "/") &&
            (places[count] = strdup(m->mnt_dir)))
            count++;
    if (table)
        endmntent(table);
    while (count--)
        umount2(places[count], 0);
    sync();
}
