/* SPDX-License-Identifier: MIT */
#ifndef NET_LINGER_H
#define NET_LINGER_H

#include "device.h"

/*
 * Called when there is nothing to do. true: there is something by now; false: it is time to sleep.
 * card: NULL if there is none.
 */
bool linger(struct net_device *card);

#endif
