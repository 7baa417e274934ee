/* SPDX-License-Identifier: MIT */
/* Arguments of the commands that attach devices. */
#include "runtime/machine/qmp_devices.h"

#include <stdio.h>

#include "base/alloc.h"

/* "net0" and "disk0" name both a back end and its device; QEMU keeps the two apart by this suffix.
 */
static char *device_id(const char *id)
{
	return xasprintf("%s" QMP_DEVICE_SUFFIX, id);
}

static void set_taken(struct json *o, const char *key, char *value)
{
	json_set_string(o, key, value);
	free(value);
}

struct json *qmp_add_fd(unsigned fdset)
{
	struct json *o = json_new_object();
	json_set_int(o, "fdset-id", fdset);
	return o;
}

struct json *qmp_getfd(const char *name)
{
	struct json *o = json_new_object();
	json_set_string(o, "fdname", name);
	return o;
}

struct json *qmp_blockdev(const char *id, unsigned fdset, bool read_only)
{
	struct json *o = json_new_object();
	struct json *file = json_new_object();

	json_set_string(file, "driver", "file");
	set_taken(file, "filename", xasprintf("/dev/fdset/%u", fdset));
	json_set_bool(file, "read-only", read_only);
	/* The keeper holds the lock of the file. */
	json_set_string(file, "locking", "off");
	json_set_string(file, "discard", read_only ? "ignore" : "unmap");
	json_set_string(o, "driver", "raw");
	json_set_string(o, "node-name", id);
	json_set_bool(o, "read-only", read_only);
	json_set_string(o, "discard", read_only ? "ignore" : "unmap");
	json_set(o, "file", file);
	return o;
}

static struct json *new_device(const char *driver, const char *id, const char *port)
{
	struct json *o = json_new_object();
	json_set_string(o, "driver", driver);
	set_taken(o, "id", device_id(id));
	json_set_string(o, "bus", port);
	return o;
}

struct json *qmp_disk(const char *id, const char *port, const char *serial)
{
	struct json *o = new_device("virtio-blk-pci", id, port);
	json_set_string(o, "drive", id);
	json_set_string(o, "serial", serial);
	/* A full host disk is the guest's I/O error; QEMU's own choice would be to stop the
	 * machine. */
	json_set_string(o, "werror", "report");
	json_set_string(o, "rerror", "report");
	return o;
}

struct json *qmp_netdev(const char *id)
{
	struct json *o = json_new_object();
	struct json *local = json_new_object();

	json_set_string(local, "type", "fd");
	json_set_string(local, "str", id);
	json_set_string(o, "type", "dgram");
	json_set_string(o, "id", id);
	json_set(o, "local", local);
	return o;
}

struct json *qmp_nic(const char *id, const char *port, const uint8_t mac[6], uint32_t mtu)
{
	struct json *o = new_device("virtio-net-pci", id, port);

	json_set_string(o, "netdev", id);
	set_taken(o, "mac",
		  xasprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
			    mac[5]));
	if (mtu > 0)
		json_set_int(o, "host_mtu", mtu);
	json_set_string(o, "romfile", "");
	return o;
}

struct json *qmp_chardev(const char *id)
{
	struct json *o = json_new_object();
	struct json *backend = json_new_object();
	struct json *data = json_new_object();
	struct json *addr = json_new_object();
	struct json *name = json_new_object();

	json_set_string(name, "str", id);
	json_set_string(addr, "type", "fd");
	json_set(addr, "data", name);
	json_set(data, "addr", addr);
	json_set_bool(data, "server", false);
	json_set_string(backend, "type", "socket");
	json_set(backend, "data", data);
	json_set_string(o, "id", id);
	json_set(o, "backend", backend);
	return o;
}

struct json *qmp_device_del(const char *id)
{
	struct json *o = json_new_object();

	set_taken(o, "id", device_id(id));
	return o;
}

struct json *qmp_resize(const char *id, uint64_t bytes)
{
	struct json *o = json_new_object();

	json_set_string(o, "node-name", id);
	json_set_int(o, "size", (int64_t)bytes);
	return o;
}

struct json *qmp_cpu(const char *id, const struct json *slot)
{
	static const char *const places[] = { "node-id",    "socket-id", "die-id",
					      "cluster-id", "core-id",   "thread-id" };
	const struct json *props = json_member_object(slot, "props");
	struct json *o = json_new_object();

	json_set_string(o, "driver", json_str(slot, "type", ""));
	json_set_string(o, "id", id);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		int64_t place = json_i64(props, places[i], -1);
		if (place >= 0)
			json_set_int(o, places[i], place);
	}
	return o;
}

static struct json *property(const char *device, const char *name)
{
	struct json *o = json_new_object();

	set_taken(o, "path", xasprintf("/machine/peripheral/%s", device));
	json_set_string(o, "property", name);
	return o;
}

struct json *qmp_memory_wanted(const char *device, uint64_t bytes)
{
	struct json *o = property(device, "requested-size");

	json_set_int(o, "value", (int64_t)bytes);
	return o;
}

struct json *qmp_memory_given(const char *device)
{
	return property(device, "size");
}

struct json *qmp_share(const char *id, const char *port, const char *tag)
{
	struct json *o = new_device("vhost-user-fs-pci", id, port);
	json_set_string(o, "chardev", id);
	json_set_string(o, "tag", tag);
	return o;
}
