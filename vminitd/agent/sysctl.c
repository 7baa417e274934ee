/* SPDX-License-Identifier: MIT */
/* Settings of the kernel. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cleanup.h"
#include "vminitd/agent/sysctl.h"
#include "vminitd/agent/sysfile.h"

static int set_sysctl(const char *name, const char *value, struct error *err)
{
	AUTO_FREE char *path = xasprintf("/proc/sys/%s", name);

	if (!name[0] || strstr(name, "..") || strchr(name, '/'))
		return error_set(err, E_INVALID, "sysctl '%s' is not a dotted name", name);
	for (char *p = path; *p; p++)
		if (*p == '.')
			*p = '/';
	return sysfile_write(path, value, err);
}

/* A fresh namespace begins with the kernel's defaults for these, whatever the agent's own has. */
static enum sysctl_scope scope_of(const char *name)
{
	static const char *const begins[] = {
		"kernel.shm", "kernel.msg",        "kernel.sem",
		"fs.mqueue.", "kernel.domainname", "kernel.hostname"
	};

	for (size_t i = 0; i < ARRAY_SIZE(begins); i++)
		if (str_starts(name, begins[i]))
			return SYSCTL_NAMESPACES;
	return SYSCTL_MACHINE;
}

/* As every image is used to: ping without a capability, ports below 1024 for all. */
void sysctls_set_usual(void)
{
	static const struct {
		const char *name, *value;
	} usual[] = {
		{ "net.ipv4.ping_group_range", "0 2147483647" },
		{ "net.ipv4.ip_unprivileged_port_start", "0" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(usual); i++) {
		AUTO_ERROR why = ERROR_INIT;
		if (set_sysctl(usual[i].name, usual[i].value, &why) < 0)
			error_ignore(&why, "a kernel without it");
	}
}

int sysctls_set(const struct msg_setup *s, enum sysctl_scope scope, struct error *err)
{
	for (size_t i = 0; i < s->sysctl_count; i++)
		if (scope_of(s->sysctls[i].name) == scope &&
		    set_sysctl(s->sysctls[i].name, s->sysctls[i].value, err) < 0)
			return -(int)err->code;
	return 0;
}
