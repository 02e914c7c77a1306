/* SPDX-License-Identifier: MIT */
/* A machine without disks, for tests of the rest of the fs engine. */
#include "../../../sysio/fs/devices.h"
#include "../../../sysio/fs/fs.h"
#include "../../../sysio/fs/pager.h"

void disks_init(void) {}
bool disks_mounted(void)
{
    return false;
}
void disks_publish(void) {}
int disks_sync(void)
{
    return 0;
}
void disks_finish(void) {}
void disks_finish_now(void) {}
bool pager_event(struct motor_event *ev)
{
    (void)ev;
    return false;
}
void devices_init(void) {}
bool devices_interrupt(uint64_t badge)
{
    (void)badge;
    return false;
}
bool devices_turn(void)
{
    return false;
}
bool disk_mount_root(const char *what)
{
    (void)what;
    return false;
}
struct device *device_at(uint32_t i)
{
    (void)i;
    return NULL;
}
bool device_is_mounted(const struct device *d)
{
    (void)d;
    return false;
}
int disk_mount_type(const struct mount_request *r, struct mount **out)
{
    (void)r, (void)out;
    return -2; /* ENOENT */
}
