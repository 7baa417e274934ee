/* SPDX-License-Identifier: MIT */
/* The trivial init that `ctrz run` is measured against: loads the same modules in the same order,
 * and powers off; with STAY it idles instead. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	struct dirent **names;
	int n = scandir("/modules", &names, NULL, alphasort);
	for (int i = 0; i < n; i++) {
		char path[300];
		(void)snprintf(path, sizeof(path), "/modules/%s", names[i]->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (names[i]->d_name[0] != '.' && fd >= 0)
			(void)syscall(SYS_finit_module, fd, "", 0);
	}
#ifdef STAY
	(void)!write(STDOUT_FILENO, "init stays\n", 11);
#else
	sync();
	(void)reboot(RB_POWER_OFF);
#endif
	for (;;)
		(void)pause();
}
