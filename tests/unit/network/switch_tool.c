/* SPDX-License-Identifier: MIT */
/* The client functions of the network's switch as a small command, for tests written in Python. It
 * is also the program that becomes the switch. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "runtime/network/address.h"
#include "runtime/network/switch_client.h"
#include "runtime/network/switch_message.h"

static int fail(const struct error *err)
{
	(void)fprintf(stderr, "%s: %s\n", error_code_name(err->code), error_message(err));
	return 1;
}

/* start|restart RUN_DIR NAME SUBNET EGRESS */
static int start(char **args, int (*fn)(const struct switch_config *, pid_t *, struct error *))
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON v = json_new_object();
	struct switch_config c CLEANUP(switch_config_release) = { 0 };
	struct subnet s;
	char base[ADDRESS_TEXT_SIZE];
	pid_t pid;
	if (subnet_parse(args[2], &s, &err) < 0)
		return fail(&err);
	address_text(s.base, base);
	json_set_string(v, "run_dir", args[0]);
	json_set_string(v, "name", args[1]);
	json_set_string(v, "subnet", base);
	json_set_int(v, "prefix", s.prefix);
	json_set_string(v, "egress", args[3]);
	if (switch_config_parse(v, &c, &err) < 0 || fn(&c, &pid, &err) < 0)
		return fail(&err);
	printf("%d\n", (int)pid);
	return 0;
}

static int do_start(char **args)
{
	return start(args, switch_start);
}

static int do_restart(char **args)
{
	return start(args, switch_restart);
}

/* port RUN_DIR JSON */
static int do_port(char **args)
{
	AUTO_ERROR err = ERROR_INIT;
	AUTO_JSON v = NULL;
	AUTO_JSON out = json_new_object();
	struct switch_port p CLEANUP(switch_port_release) = { 0 };
	AUTO_FREE char *dir = NULL;
	if (json_parse(args[1], strlen(args[1]), SWITCH_MESSAGE_MAX, "argument", &v, &err) < 0 ||
	    switch_port_parse(v, &p, &err) < 0)
		return fail(&err);
	AUTO_FREE uint16_t *ports = xcalloc(p.publish_count + 1, sizeof(*ports));
	if (switch_set_port(args[0], &p, &dir, ports, &err) < 0)
		return fail(&err);
	struct json *list = json_new_array();
	for (size_t i = 0; i < p.publish_count; i++)
		json_add(list, json_new_int(ports[i]));
	json_set_string(out, "dir", dir);
	json_set(out, "ports", list);
	AUTO_FREE char *text = json_text(out);
	puts(text);
	return 0;
}

/* remove RUN_DIR NAME */
static int do_remove(char **args)
{
	AUTO_ERROR err = ERROR_INIT;
	return switch_remove_port(args[0], args[1], &err) < 0 ? fail(&err) : 0;
}

/* observe RUN_DIR */
static int do_observe(char **args)
{
	printf("%d\n", (int)switch_observe(args[0]));
	return 0;
}

/* stop RUN_DIR */
static int do_stop(char **args)
{
	AUTO_ERROR err = ERROR_INIT;
	return switch_stop(args[0], &err) < 0 ? fail(&err) : 0;
}

/* holder ADDRESS PORT tcp|udp */
static int do_holder(char **args)
{
	struct in_addr address;
	uint64_t port;
	if (!address_parse(args[0], &address) || !parse_u64(args[1], UINT16_MAX, &port))
		return 2;
	bool udp = str_equal(args[2], "udp");
	AUTO_FREE char *holder = host_port_holder(address, (uint16_t)port, udp);
	printf("%s %s\n", host_port_is_free(address, (uint16_t)port, udp) ? "free" : "taken",
	       holder ? holder : "-");
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int args;
		int (*fn)(char **args);
	} commands[] = {
		{ "start", 4, do_start },   { "restart", 4, do_restart },
		{ "port", 2, do_port },     { "remove", 2, do_remove },
		{ "stop", 1, do_stop },     { "observe", 1, do_observe },
		{ "holder", 3, do_holder },
	};
	if (argc > 1 && str_equal(argv[1], "__switch"))
		return switch_main(argc, argv);
	for (size_t i = 0; argc > 1 && i < ARRAY_SIZE(commands); i++)
		if (str_equal(argv[1], commands[i].name) && argc == commands[i].args + 2)
			return commands[i].fn(argv + 2);
	(void)fprintf(stderr,
		      "usage: switch_tool start|restart|port|remove|stop|observe|holder ...\n");
	return 2;
}
