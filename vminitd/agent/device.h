/* SPDX-License-Identifier: MIT */
/* Devices by what the host calls them, found in sysfs; the kernel's events say when to look again.
 */
#ifndef CTRZ_VMINITD_AGENT_DEVICE_H
#define CTRZ_VMINITD_AGENT_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { DEVICE_PATH_MAX = 64 };

/** device_events() - a socket that is readable when a device came, went or changed. Return:
 * descriptor or -code */
int device_events(struct error *err) MUST_CHECK;
/** device_events_drain() - forget what is waiting on it, and what was remembered if a device went
 */
void device_events_drain(int fd);
/** device_remember() - note the disks and NICs that are there: they are found again without a look,
 * and nothing of the disks stays cached, since others take their places in a restored machine */
void device_remember(void);
/** device_remembered_nics() - the interface indexes of those; returns how many */
size_t device_remembered_nics(unsigned *ret, size_t room);
/** device_forget() - look again from now on */
void device_forget(void);
/** device_disk() - "/dev/vda" of the disk with @serial that holds at least @min_bytes */
bool device_disk(const char *serial, uint64_t min_bytes, char path[DEVICE_PATH_MAX]);
/** device_port() - "/dev/vport1p1" of the virtio-serial port with @name */
bool device_port(const char *name, char path[DEVICE_PATH_MAX]);
/** device_nic() - interface name and index of the Ethernet device that has @mac */
bool device_nic(const uint8_t mac[6], char name[DEVICE_PATH_MAX], unsigned *ret_index);

#endif
