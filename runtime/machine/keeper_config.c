/* SPDX-License-Identifier: MIT */
/* A keeper's configuration: JSON for the machine, the protocol's own form for the two messages it
 * passes on. */
#include "runtime/machine/keeper_config.h"

#include <string.h>

#include "base/alloc.h"
#include "base/bytes.h"
#include "base/fd.h"
#include "base/json/json.h"
#include "runtime/machine/qemu_command.h"
#include "runtime/machine/qmp_devices.h"

enum { LOG_FILES_MAX = 100 };

void machine_file_release(struct msg_write_file *f)
{
	if (f->content_size > 0)
		explicit_bzero(f->content, f->content_size);
	msg_write_file_release(f);
}

void machine_config_release(struct machine_config *c)
{
	free(c->name);
	free(c->run_dir);
	free(c->state_dir);
	free(c->events);
	free(c->kernel);
	free(c->initrd);
	free(c->kernel_args);
	for (size_t i = 0; i < c->disk_count; i++) {
		free(c->disks[i].serial);
		free(c->disks[i].path);
		free(c->disks[i].empty);
	}
	free(c->disks);
	for (size_t i = 0; i < c->nic_count; i++) {
		free(c->nics[i].id);
		free(c->nics[i].port_dir);
	}
	free(c->nics);
	for (size_t i = 0; i < c->share_count; i++) {
		free(c->shares[i].tag);
		free(c->shares[i].source);
	}
	free(c->shares);
	for (size_t i = 0; i < c->socket_count; i++) {
		free(c->sockets[i].host_path);
		free(c->sockets[i].target);
	}
	free(c->sockets);
	msg_setup_release(&c->setup);
	msg_spawn_release(&c->main);
	msg_supervise_release(&c->supervise);
	for (size_t i = 0; i < c->file_count; i++)
		machine_file_release(&c->files[i]);
	free(c->files);
	*c = (struct machine_config){ 0 };
}

void keeper_config_release(struct keeper_config *c)
{
	machine_config_release(&c->machine);
	free(c->qemu);
	free(c->templates);
	*c = (struct keeper_config){ 0 };
}

static int check_path(const char *what, const char *path, struct error *err)
{
	if (!path || path[0] != '/')
		return error_set(err, E_INVALID, "%s needs an absolute path, not '%s'", what,
				 path ? path : "");
	return 0;
}

/* Goes into QEMU's own names and into error texts. */
static int check_word(const char *what, const char *s, size_t max, struct error *err)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	if (!s || !*s || strlen(s) > max || strspn(s, allowed) != strlen(s))
		return error_set(err, E_INVALID,
				 "%s must be 1 to %zu letters, digits, '-', '_' or '.'", what, max);
	return 0;
}

static int check_devices(const struct machine_config *c, struct error *err)
{
	for (size_t i = 0; i < c->disk_count; i++)
		if (check_word("a disk's serial", c->disks[i].serial, DISK_SERIAL_MAX, err) < 0 ||
		    check_path("a disk", c->disks[i].path, err) < 0)
			return -(int)err->code;
	for (size_t i = 0; i < c->nic_count; i++)
		if (check_word("a NIC's id", c->nics[i].id, 32, err) < 0 ||
		    check_path("a NIC's port", c->nics[i].port_dir, err) < 0)
			return -(int)err->code;
	for (size_t i = 0; i < c->share_count; i++)
		if (check_word("a share's tag", c->shares[i].tag, SHARE_TAG_MAX, err) < 0 ||
		    check_path("a share", c->shares[i].source, err) < 0)
			return -(int)err->code;
	for (size_t i = 0; i < c->socket_count; i++)
		if (check_path("a socket", c->sockets[i].host_path, err) < 0 ||
		    check_path("a socket", c->sockets[i].target, err) < 0)
			return -(int)err->code;
	return 0;
}

int keeper_config_check(const struct machine_config *c, struct error *err)
{
	size_t devices = c->disk_count + c->nic_count + c->share_count;

	if (check_word("a machine's name", c->name, 128, err) < 0 ||
	    check_path("the run folder", c->run_dir, err) < 0 ||
	    check_path("the state folder", c->state_dir, err) < 0 ||
	    check_path("the kernel", c->kernel, err) < 0 ||
	    check_path("the initramfs", c->initrd, err) < 0)
		return -(int)err->code;
	if (strlen(c->run_dir) + strlen("/keeper.sock") > UNIX_PATH_MAX)
		return error_set(err, E_INVALID, "the run folder '%s' is too long for a socket",
				 c->run_dir);
	if (devices > QEMU_MAX_ROOT_PORTS)
		return error_set(err, E_INVALID,
				 "%zu disks, NICs and shares are more than the %d a machine takes",
				 devices, QEMU_MAX_ROOT_PORTS);
	if (c->main.argv.count == 0 && c->supervise.process_count == 0)
		return error_set(err, E_INVALID, "there is no command to run");
	return check_devices(c, err);
}

static struct json *disks_to_json(const struct machine_config *c)
{
	struct json *list = json_new_array();
	for (size_t i = 0; i < c->disk_count; i++) {
		struct json *o = json_new_object();
		json_set_string(o, "serial", c->disks[i].serial);
		json_set_string(o, "path", c->disks[i].path);
		json_set_bool(o, "read_only", c->disks[i].read_only);
		json_set_string(o, "empty", c->disks[i].empty ? c->disks[i].empty : "");
		json_add(list, o);
	}
	return list;
}

static struct json *nics_to_json(const struct machine_config *c)
{
	struct json *list = json_new_array();
	for (size_t i = 0; i < c->nic_count; i++) {
		const struct machine_nic *n = &c->nics[i];
		struct json *o = json_new_object();
		uint64_t mac = (uint64_t)get_be16(n->mac) << 32 | get_be32(n->mac + 2);
		json_set_string(o, "id", n->id);
		json_set_string(o, "port_dir", n->port_dir);
		json_set_int(o, "mac", (int64_t)mac);
		json_set_int(o, "mtu", n->mtu);
		json_add(list, o);
	}
	return list;
}

static struct json *shares_to_json(const struct machine_config *c)
{
	struct json *list = json_new_array();
	for (size_t i = 0; i < c->share_count; i++) {
		struct json *o = json_new_object();
		json_set_string(o, "tag", c->shares[i].tag);
		json_set_string(o, "source", c->shares[i].source);
		json_set_bool(o, "read_only", c->shares[i].read_only);
		json_set_bool(o, "git_writable", c->shares[i].git_writable);
		json_add(list, o);
	}
	return list;
}

static struct json *sockets_to_json(const struct machine_config *c)
{
	struct json *list = json_new_array();
	for (size_t i = 0; i < c->socket_count; i++) {
		struct json *o = json_new_object();
		json_set_string(o, "host_path", c->sockets[i].host_path);
		json_set_string(o, "target", c->sockets[i].target);
		json_set_bool(o, "is_out", c->sockets[i].is_out);
		json_add(list, o);
	}
	return list;
}

static struct json *to_json(const struct keeper_config *k)
{
	const struct machine_config *c = &k->machine;
	struct json *o = json_new_object();

	json_set_string(o, "qemu", k->qemu);
	json_set_bool(o, "kvm", k->kvm);
	json_set_string(o, "templates", k->templates ? k->templates : "");
	json_set_bool(o, "traced", k->traced);
	json_set_string(o, "name", c->name);
	json_set_string(o, "run_dir", c->run_dir);
	json_set_string(o, "state_dir", c->state_dir);
	json_set_string(o, "events", c->events);
	json_set_string(o, "kernel", c->kernel);
	json_set_string(o, "initrd", c->initrd);
	json_set_string(o, "kernel_args", c->kernel_args ? c->kernel_args : "");
	json_set_int(o, "cpus", c->cpus);
	json_set_int(o, "memory_bytes", (int64_t)c->memory_bytes);
	json_set(o, "disks", disks_to_json(c));
	json_set(o, "nics", nics_to_json(c));
	json_set(o, "shares", shares_to_json(c));
	json_set(o, "sockets", sockets_to_json(c));
	json_set_bool(o, "is_filtered", c->is_filtered);
	json_set_int(o, "capabilities", (int64_t)c->capabilities);
	json_set_int(o, "restart", c->restart);
	json_set_bool(o, "attached", c->attached);
	json_set_int(o, "start_timeout_ms", (int64_t)c->start_timeout_ms);
	json_set_int(o, "log_max_bytes", (int64_t)c->log_max_bytes);
	json_set_int(o, "log_files", c->log_files);
	json_set_int(o, "files", (int64_t)c->file_count);
	return o;
}

/* Each part goes behind its size. */
static void end_part(struct buffer *out, size_t begin)
{
	put_be32(out->data + begin, (uint32_t)(out->size - begin - 4));
}

static size_t begin_part(struct buffer *out)
{
	size_t begin = out->size;
	buffer_add(out, "\0\0\0\0", 4);
	return begin;
}

int keeper_config_pack(const struct keeper_config *c, struct buffer *out, struct error *err)
{
	AUTO_JSON o = to_json(c);
	size_t begin = begin_part(out);

	json_print(o, 0, false, out);
	end_part(out, begin);
	begin = begin_part(out);
	if (msg_setup_pack(&c->machine.setup, out, err) < 0)
		return -(int)err->code;
	end_part(out, begin);
	begin = begin_part(out);
	if (msg_spawn_pack(&c->machine.main, out, err) < 0)
		return -(int)err->code;
	end_part(out, begin);
	begin = begin_part(out);
	if (msg_supervise_pack(&c->machine.supervise, out, err) < 0)
		return -(int)err->code;
	end_part(out, begin);
	for (size_t i = 0; i < c->machine.file_count; i++) {
		begin = begin_part(out);
		if (msg_write_file_pack(&c->machine.files[i], out, err) < 0)
			return -(int)err->code;
		end_part(out, begin);
	}
	return 0;
}

struct part {
	const char *data;
	size_t size;
};

static int take_part(const char **at, size_t *left, struct part *ret, struct error *err)
{
	if (*left < 4 || get_be32(*at) > *left - 4)
		return error_set(err, E_INTEGRITY, "the keeper's configuration is cut off");
	*ret = (struct part){ *at + 4, get_be32(*at) };
	*at += 4 + ret->size;
	*left -= 4 + ret->size;
	return 0;
}

static char *text_of(const struct json *o, const char *key)
{
	return xstrdup(json_str(o, key, ""));
}

static void disks_from_json(const struct json *o, struct machine_config *c)
{
	const struct json *list = json_member_array(o, "disks");
	size_t count = list ? json_count(list) : 0;

	c->disks = xcalloc(count + 1, sizeof(*c->disks));
	for (; c->disk_count < count; c->disk_count++) {
		const struct json *d = json_item(list, c->disk_count);
		c->disks[c->disk_count] = (struct machine_disk){
			.serial = text_of(d, "serial"),
			.path = text_of(d, "path"),
			.read_only = json_bool(d, "read_only", false),
			.empty = text_of(d, "empty"),
		};
	}
}

static void nics_from_json(const struct json *o, struct machine_config *c)
{
	const struct json *list = json_member_array(o, "nics");
	size_t count = list ? json_count(list) : 0;

	c->nics = xcalloc(count + 1, sizeof(*c->nics));
	for (; c->nic_count < count; c->nic_count++) {
		const struct json *d = json_item(list, c->nic_count);
		struct machine_nic *n = &c->nics[c->nic_count];
		uint64_t mac = json_u64(d, "mac", 0);
		*n = (struct machine_nic){
			.id = text_of(d, "id"),
			.port_dir = text_of(d, "port_dir"),
			.mtu = (uint32_t)json_u64(d, "mtu", 0),
		};
		put_be16(n->mac, (uint16_t)(mac >> 32));
		put_be32(n->mac + 2, (uint32_t)mac);
	}
}

static void shares_from_json(const struct json *o, struct machine_config *c)
{
	const struct json *list = json_member_array(o, "shares");
	size_t count = list ? json_count(list) : 0;

	c->shares = xcalloc(count + 1, sizeof(*c->shares));
	for (; c->share_count < count; c->share_count++) {
		const struct json *d = json_item(list, c->share_count);
		c->shares[c->share_count] = (struct machine_share){
			.tag = text_of(d, "tag"),
			.source = text_of(d, "source"),
			.read_only = json_bool(d, "read_only", true),
			.git_writable = json_bool(d, "git_writable", false),
		};
	}
}

static void sockets_from_json(const struct json *o, struct machine_config *c)
{
	const struct json *list = json_member_array(o, "sockets");
	size_t count = list ? json_count(list) : 0;

	c->sockets = xcalloc(count + 1, sizeof(*c->sockets));
	for (; c->socket_count < count; c->socket_count++) {
		const struct json *d = json_item(list, c->socket_count);
		c->sockets[c->socket_count] = (struct machine_socket){
			.host_path = text_of(d, "host_path"),
			.target = text_of(d, "target"),
			.is_out = json_bool(d, "is_out", false),
		};
	}
}

static void from_json(const struct json *o, struct keeper_config *k)
{
	struct machine_config *c = &k->machine;

	k->qemu = text_of(o, "qemu");
	k->kvm = json_bool(o, "kvm", false);
	k->templates = text_of(o, "templates");
	k->traced = json_bool(o, "traced", false);
	c->name = text_of(o, "name");
	c->run_dir = text_of(o, "run_dir");
	c->state_dir = text_of(o, "state_dir");
	c->events = xstrdup_null(json_str(o, "events", NULL));
	c->kernel = text_of(o, "kernel");
	c->initrd = text_of(o, "initrd");
	c->kernel_args = text_of(o, "kernel_args");
	c->cpus = (unsigned)json_u64(o, "cpus", 0);
	c->memory_bytes = json_u64(o, "memory_bytes", 0);
	disks_from_json(o, c);
	nics_from_json(o, c);
	shares_from_json(o, c);
	sockets_from_json(o, c);
	c->is_filtered = json_bool(o, "is_filtered", false);
	c->capabilities = json_u64(o, "capabilities", 0);
	c->restart = (enum restart_policy)json_u64(o, "restart", RESTART_NO);
	c->attached = json_bool(o, "attached", false);
	c->start_timeout_ms = json_u64(o, "start_timeout_ms", 0);
	c->log_max_bytes = json_u64(o, "log_max_bytes", 0);
	c->log_files = (unsigned)json_u64(o, "log_files", 0);
}

static int unpack_files(const char *at, size_t left, uint64_t count, struct machine_config *c,
			struct error *err)
{
	struct part part;

	if (count > MACHINE_FILES_MAX)
		return error_set(err, E_INTEGRITY, "the keeper's configuration is out of range");
	c->files = xcalloc(count + 1, sizeof(*c->files));
	while (c->file_count < count) {
		if (take_part(&at, &left, &part, err) < 0)
			return -(int)err->code;
		if (msg_write_file_unpack(part.data, part.size, &c->files[c->file_count], err) < 0)
			return -(int)err->code;
		c->file_count++;
	}
	if (left > 0)
		return error_set(err, E_INTEGRITY, "the keeper's configuration is too long");
	return 0;
}

static int unpack(const char *at, size_t left, struct keeper_config *c, struct error *err)
{
	struct part text = { "", 0 }, setup = text, spawn = text, supervise = text;
	AUTO_JSON o = NULL;

	if (take_part(&at, &left, &text, err) < 0 || take_part(&at, &left, &setup, err) < 0 ||
	    take_part(&at, &left, &spawn, err) < 0 || take_part(&at, &left, &supervise, err) < 0)
		return -(int)err->code;
	if (json_parse(text.data, text.size, KEEPER_CONFIG_MAX, "the keeper's configuration", &o,
		       err) < 0) {
		err->code = E_INTEGRITY;
		return -(int)err->code;
	}
	from_json(o, c);
	if (c->machine.restart > RESTART_ALWAYS || c->machine.log_files > LOG_FILES_MAX)
		return error_set(err, E_INTEGRITY, "the keeper's configuration is out of range");
	if (msg_setup_unpack(setup.data, setup.size, &c->machine.setup, err) < 0 ||
	    msg_spawn_unpack(spawn.data, spawn.size, &c->machine.main, err) < 0 ||
	    msg_supervise_unpack(supervise.data, supervise.size, &c->machine.supervise, err) < 0)
		return -(int)err->code;
	return unpack_files(at, left, json_u64(o, "files", 0), &c->machine, err);
}

int keeper_config_unpack(const void *data, size_t size, struct keeper_config *ret,
			 struct error *err)
{
	struct keeper_config c = { 0 };

	if (unpack(data, size, &c, err) < 0) {
		keeper_config_release(&c);
		return -(int)err->code;
	}
	*ret = c;
	return 0;
}
