/* SPDX-License-Identifier: MIT */
/* Finding devices in sysfs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/netlink.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "vminitd/agent/device.h"
#include "vminitd/agent/syscalls.h"
#include "vminitd/agent/sysfile.h"

enum { REMEMBERED_MAX = 8, KEY_ROOM = 64, NAME_ROOM = 33 };

/* Devices that were there when the machine became a template, by serial or MAC. */
static struct remembered {
	char key[KEY_ROOM];
	char name[NAME_ROOM];
	unsigned index; /* a NIC's */
} remembered[REMEMBERED_MAX];
static size_t remembered_count;

static const struct remembered *recall(const char *key)
{
	for (size_t i = 0; i < remembered_count; i++)
		if (str_equal(remembered[i].key, key))
			return &remembered[i];
	return NULL;
}

void device_forget(void)
{
	remembered_count = 0;
}

int device_events(struct error *err)
{
	struct sockaddr_nl addr = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	AUTO_CLOSE int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				   NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return error_sys(err, "listen for the kernel's device events");
	return take_fd(&fd);
}

void device_events_drain(int fd)
{
	static const char removal[] = "remove@";
	char message[4096];
	ssize_t n;

	/* ENOBUFS: some were lost, which is as good a reason to look. */
	while ((n = recv(fd, message, sizeof(message), 0)) > 0 || errno == ENOBUFS ||
	       errno == EINTR)
		if (n < 0 || (n > (ssize_t)sizeof(removal) &&
			      memcmp(message, removal, sizeof(removal) - 1) == 0))
			device_forget();
}

typedef bool (*match_fn)(const char *folder, const char *name, const void *wanted);

/* The first entry of a sysfs folder that matches. */
static bool find_entry(const char *folder, match_fn match, const void *wanted,
		       char ret[DEVICE_PATH_MAX])
{
	AUTO_DIR DIR *dir = opendir(folder);
	struct dirent *e;

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.' || strlen(e->d_name) > 32 ||
		    !match(folder, e->d_name, wanted))
			continue;
		(void)snprintf(ret, DEVICE_PATH_MAX, "%.32s", e->d_name);
		return true;
	}
	return false;
}

static bool attribute_is(const char *folder, const char *name, const char *attribute,
			 const char *wanted)
{
	char value[128];

	return sysfile_read(value, sizeof(value), "%s/%s/%s", folder, name, attribute) &&
	       str_equal(value, wanted);
}

struct disk_wanted {
	const char *serial;
	uint64_t min_bytes;
};

static bool is_disk(const char *folder, const char *name, const void *wanted)
{
	const struct disk_wanted *w = wanted;
	char size[32];
	uint64_t sectors;

	return attribute_is(folder, name, "serial", w->serial) &&
	       sysfile_read(size, sizeof(size), "%s/%s/size", folder, name) &&
	       parse_u64(size, UINT64_MAX / 512, &sectors) && sectors > 0 &&
	       sectors * 512 >= w->min_bytes;
}

bool device_disk(const char *serial, uint64_t min_bytes, char path[DEVICE_PATH_MAX])
{
	struct disk_wanted w = { serial, min_bytes };
	const struct remembered *known = min_bytes == 0 ? recall(serial) : NULL;
	char name[DEVICE_PATH_MAX];

	if (known) {
		(void)snprintf(path, DEVICE_PATH_MAX, "/dev/%s", known->name);
		return true;
	}
	if (!find_entry("/sys/block", is_disk, &w, name))
		return false;
	(void)snprintf(path, DEVICE_PATH_MAX, "/dev/%.32s", name);
	return access(path, F_OK) == 0;
}

static bool is_port(const char *folder, const char *name, const void *wanted)
{
	return attribute_is(folder, name, "name", wanted);
}

bool device_port(const char *port, char path[DEVICE_PATH_MAX])
{
	char name[DEVICE_PATH_MAX];

	if (!find_entry("/sys/class/virtio-ports", is_port, port, name))
		return false;
	(void)snprintf(path, DEVICE_PATH_MAX, "/dev/%.32s", name);
	return access(path, F_OK) == 0;
}

static bool is_nic(const char *folder, const char *name, const void *wanted)
{
	return attribute_is(folder, name, "address", wanted) &&
	       !attribute_is(folder, name, "type", "772"); /* loopback */
}

static bool nic_index(const char *name, unsigned *ret_index)
{
	char index[16];
	uint64_t v;

	if (!sysfile_read(index, sizeof(index), "/sys/class/net/%s/ifindex", name) ||
	    !parse_u64(index, INT32_MAX, &v))
		return false;
	*ret_index = (unsigned)v;
	return true;
}

bool device_nic(const uint8_t mac[6], char name[DEVICE_PATH_MAX], unsigned *ret_index)
{
	const struct remembered *known;
	char text[18];

	(void)snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
	known = recall(text);
	if (known) {
		(void)snprintf(name, DEVICE_PATH_MAX, "%s", known->name);
		*ret_index = known->index;
		return true;
	}
	return find_entry("/sys/class/net", is_nic, text, name) && nic_index(name, ret_index);
}

/* Never true: every entry is noted, none is searched for. */
static bool note(const char *folder, const char *name, const void *attribute)
{
	struct remembered *r = &remembered[remembered_count];

	if (remembered_count == REMEMBERED_MAX || strlen(name) >= NAME_ROOM ||
	    !sysfile_read(r->key, sizeof(r->key), "%s/%s/%s", folder, name,
			  (const char *)attribute) ||
	    r->key[0] == '\0' || recall(r->key))
		return false;
	(void)snprintf(r->name, sizeof(r->name), "%s", name);
	r->index = 0;
	(void)nic_index(name, &r->index);
	remembered_count++;
	return false;
}

static void drop_cached(const char *name)
{
	char path[DEVICE_PATH_MAX];

	(void)snprintf(path, sizeof(path), "/dev/%s", name);
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0)
		(void)sys_ioctl(fd, BLKFLSBUF, NULL);
}

void device_remember(void)
{
	char none[DEVICE_PATH_MAX];

	device_forget();
	(void)find_entry("/sys/block", note, "serial", none);
	for (size_t i = 0; i < remembered_count; i++)
		drop_cached(remembered[i].name);
	(void)find_entry("/sys/class/net", note, "address", none);
}

size_t device_remembered_nics(unsigned *ret, size_t room)
{
	enum { LOOPBACK = 1 };
	size_t count = 0;

	for (size_t i = 0; i < remembered_count && count < room; i++)
		if (remembered[i].index > LOOPBACK)
			ret[count++] = remembered[i].index;
	return count;
}
