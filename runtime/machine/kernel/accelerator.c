/* SPDX-License-Identifier: MIT */
/* Finds QEMU, and decides between KVM and emulation; what took time to find out is remembered in
 * the cache folder. */
#include "runtime/machine/accelerator.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/alloc.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/json/json.h"
#include "base/process.h"
#include "base/text.h"
#include "runtime/machine/kernel/kvm_probe.h"
#include "runtime/machine/kernel_store.h"

enum { MEMORY_MAX = 1 << 16, VERSION_OUTPUT_MAX = 1 << 16 };

static const char qemu_name[] = "qemu-system-x86_64";

void accelerator_release(struct accelerator *a)
{
	free(a->reason);
	free(a->qemu_path);
	free(a->qemu_version);
	*a = (struct accelerator){ 0 };
}

/* "QEMU emulator version 7.2.22 (Debian ...)" -> "7.2.22" */
static int ask_version(const char *path, char **ret, struct error *err)
{
	static const char before[] = "version ";
	const char *const argv[] = { path, "--version", NULL };
	AUTO_BUFFER text = BUFFER_INIT;
	int r = process_run(argv, &text, VERSION_OUTPUT_MAX, err);
	if (r < 0)
		return r;
	const char *at = strstr(buffer_str(&text), before);
	size_t n = at ? strspn(at + strlen(before), "0123456789.") : 0;
	if (n == 0 || n > 32)
		return error_set(err, E_UNAVAILABLE, "'%s' does not tell its version", path);
	*ret = xstrndup(at + strlen(before), n);
	return 0;
}

int qemu_find(char **ret_path, char **ret_version, struct error *err)
{
	AUTO_FREE char *path = program_find(qemu_name);
	if (!path)
		return error_set(err, E_NOT_FOUND,
				 "QEMU is not here (no %s in PATH): install it, on Debian with "
				 "'apt-get install qemu-system-x86'",
				 qemu_name);
	int r = ret_version ? ask_version(path, ret_version, err) : 0;
	if (r == 0 && ret_path)
		*ret_path = TAKE_PTR(path);
	return r;
}

/* What makes a file the same one as when it was looked at; owned. */
static char *file_identity(const char *path)
{
	struct stat st;
	if (stat(path, &st) < 0)
		return xstrdup("");
	return xasprintf("%s %llu %lld.%09ld", path, (unsigned long long)st.st_size,
			 (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static char *read_boot_id(void)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	if (file_read("/proc/sys/kernel/random/boot_id", 64, &text, &err) < 0)
		error_ignore(&err, "read the id of this boot");
	return buffer_steal(&text);
}

static struct json *recall(const char *path)
{
	AUTO_ERROR err = ERROR_INIT;
	struct json *o = NULL;
	if (json_read_file(path, MEMORY_MAX, &o, &err) < 0) {
		error_ignore(&err, "read what is known of KVM");
		return json_new_object();
	}
	return o;
}

static void remember(const char *path, const struct json *o)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_BUFFER text = BUFFER_INIT;
	json_print(o, 2, false, &text);
	buffer_add_char(&text, '\n');
	if (file_write_atomic(path, text.data, text.size, 0600, &err) < 0)
		error_ignore(&err, "remember what is known of KVM");
}

/* Fills in QEMU's version from memory, or asks and remembers it. */
static int find_version(struct json *memory, const char *memory_path, struct accelerator *a,
			struct error *err)
{
	AUTO_FREE char *identity = file_identity(a->qemu_path);
	const char *version = json_str(memory, "version", NULL);
	if (version && str_equal(json_str(memory, "qemu", NULL), identity)) {
		a->qemu_version = xstrdup(version);
		return 0;
	}
	int r = ask_version(a->qemu_path, &a->qemu_version, err);
	if (r < 0)
		return r;
	json_set_string(memory, "qemu", identity);
	json_set_string(memory, "version", a->qemu_version);
	json_set_string(memory, "boot", "");
	remember(memory_path, memory);
	return 0;
}

/* Why KVM is out of the question without any probe; owned, NULL if it is not. */
static char *obvious_reason(void)
{
	AUTO_CLOSE int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return NULL;
	if (errno == ENOENT)
		return xstrdup("there is no /dev/kvm: no hardware virtualisation here, or the kvm "
			       "module is not loaded");
	if (errno == EACCES || errno == EPERM)
		return xstrdup("/dev/kvm is not open to this user: 'usermod -aG kvm USER' as root, "
			       "then log in again");
	return xasprintf("/dev/kvm does not open: %s", strerrordesc_np(errno));
}

/* The remembered answer for this boot, QEMU and guest kernel. */
static bool recall_answer(const struct json *memory, const char *boot, const char *guest,
			  struct accelerator *a)
{
	const char *reason = json_str(memory, "reason", NULL);
	if (!*boot || !reason || !str_equal(json_str(memory, "boot", NULL), boot) ||
	    !str_equal(json_str(memory, "guest", NULL), guest))
		return false;
	a->kvm = json_bool(memory, "kvm", false);
	a->reason = xstrdup(reason);
	return true;
}

static void probe(const struct kernel *k, const char *boot, const char *guest,
		  const char *memory_path, struct json *memory, struct accelerator *a)
{
	const struct kvm_probe p = { .accel = "kvm",
				     .qemu = a->qemu_path,
				     .kernel = k->vmlinux,
				     .deadline_ms = KVM_PROBE_DEADLINE_MS };
	AUTO_FREE char *found = NULL;
	a->kvm = kvm_probe_run(&p, &found);
	a->reason =
		a->kvm ? TAKE_PTR(found)
		       : xasprintf("%s (remembered until the next boot; remove '%s' to try again)",
				   found, memory_path);
	json_set_string(memory, "boot", boot);
	json_set_string(memory, "guest", guest);
	json_set_bool(memory, "kvm", a->kvm);
	json_set_string(memory, "reason", a->reason);
	remember(memory_path, memory);
}

static void decide(const struct host_paths *paths, const char *memory_path, struct json *memory,
		   struct accelerator *a)
{
	AUTO_ERROR err = ERROR_INIT;
	struct kernel k = { 0 };
	a->reason = obvious_reason();
	if (a->reason)
		return;
	if (kernel_store_default(paths, &k, &err) < 0) {
		error_ignore(&err, "look for a kernel to probe KVM with");
		a->reason = xstrdup("KVM is tried once a guest kernel is there: run 'ctrz kernel "
				    "install'");
		return;
	}
	AUTO_FREE char *boot = read_boot_id();
	AUTO_FREE char *guest = file_identity(k.vmlinux);
	if (!recall_answer(memory, boot, guest, a))
		probe(&k, boot, guest, memory_path, memory, a);
	kernel_release(&k);
}

int accelerator_find(const struct host_paths *paths, struct accelerator *ret, struct error *err)
{
	AUTO_FREE char *memory_path = path_join(paths->cache, "accel.json");
	AUTO_FREE char *lock_path = path_join(paths->cache, "accel.lock");
	struct accelerator a = { 0 };
	int r = qemu_find(&a.qemu_path, NULL, err);
	if (r < 0 || !a.qemu_path)
		return r;
	r = dir_make(paths->cache, 0700, err);
	/* Machines that start together wait for one probe instead of each making its own. */
	AUTO_CLOSE int lock = r < 0 ? -1 : lock_file(lock_path, LOCK_WAIT, err);
	AUTO_JSON memory = lock < 0 ? NULL : recall(memory_path);
	r = r < 0 ? r : lock < 0 ? lock : find_version(memory, memory_path, &a, err);
	if (r < 0) {
		accelerator_release(&a);
		return r;
	}
	decide(paths, memory_path, memory, &a);
	*ret = a;
	return 0;
}
