/* SPDX-License-Identifier: MIT */
/* Finding devices in sysfs. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "base/cleanup.h"
#include "base/text.h"
#include "vminitd/agent/device.h"
#include "vminitd/agent/sysfile.h"

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
	char message[4096];

	/* ENOBUFS: some were lost, which is as good a reason to look. */
	while (recv(fd, message, sizeof(message), 0) > 0 || errno == ENOBUFS || errno == EINTR)
		continue;
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
	char name[DEVICE_PATH_MAX];

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

bool device_nic(const uint8_t mac[6], char name[DEVICE_PATH_MAX], unsigned *ret_index)
{
	char text[18], index[16];
	uint64_t v;

	(void)snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		       mac[3], mac[4], mac[5]);
	if (!find_entry("/sys/class/net", is_nic, text, name) ||
	    !sysfile_read(index, sizeof(index), "/sys/class/net/%s/ifindex", name) ||
	    !parse_u64(index, INT32_MAX, &v))
		return false;
	*ret_index = (unsigned)v;
	return true;
}
