/* SPDX-License-Identifier: MIT */
/* The arguments of the QMP commands that attach a disk, a NIC or a share to a root port; pure. The
 * same before a guest runs and while it does. */
#ifndef CTRZ_RUNTIME_MACHINE_QMP_DEVICES_H
#define CTRZ_RUNTIME_MACHINE_QMP_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json/json.h"

enum {
	DISK_SERIAL_MAX = 20, /* what virtio-blk carries */
	SHARE_TAG_MAX = 35,   /* what virtio-fs carries, less the NUL */
};

/* "dev1" names what serves a device; the device itself is "dev1-dev". */
#define QMP_DEVICE_SUFFIX "-dev"

/* All return an owned object. @id: of the device, unique in its VM; @port: of the root port, "rp0".
 */

/** qmp_add_fd() - add-fd: the descriptor sent along becomes /dev/fdset/@fdset */
struct json *qmp_add_fd(unsigned fdset);
/** qmp_getfd() - getfd: the descriptor sent along gets a name */
struct json *qmp_getfd(const char *name);
/** qmp_blockdev() - blockdev-add: node @id on /dev/fdset/@fdset, a raw image */
struct json *qmp_blockdev(const char *id, unsigned fdset, bool read_only);
/** qmp_disk() - device_add: a virtio-blk device over node @id */
struct json *qmp_disk(const char *id, const char *port, const char *serial);
/** qmp_netdev() - netdev_add: @id over the datagram socket of that name (see qmp_getfd()) */
struct json *qmp_netdev(const char *id);
/** qmp_nic() - device_add: a virtio-net device over netdev @id; @mtu 0 = unsaid */
struct json *qmp_nic(const char *id, const char *port, const uint8_t mac[6], uint32_t mtu);
/** qmp_chardev() - chardev-add: @id over the connected socket of that name (see qmp_getfd()) */
struct json *qmp_chardev(const char *id);
/** qmp_device_del() - device_del: the device over @id */
struct json *qmp_device_del(const char *id);
/** qmp_resize() - block_resize: node @id has this size now */
struct json *qmp_resize(const char *id, uint64_t bytes);
/** qmp_cpu() - device_add: processor @id in @slot, one of query-hotpluggable-cpus */
struct json *qmp_cpu(const char *id, const struct json *slot);
/** qmp_memory_wanted() - qom-set: how much of its memory a virtio-mem device is to give */
struct json *qmp_memory_wanted(const char *device, uint64_t bytes);
/** qmp_memory_given() - qom-get: how much the guest has taken */
struct json *qmp_memory_given(const char *device);
/** qmp_share() - device_add: a vhost-user-fs device over chardev @id */
struct json *qmp_share(const char *id, const char *port, const char *tag);

#endif
