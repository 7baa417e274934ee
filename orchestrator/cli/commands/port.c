/* SPDX-License-Identifier: MIT */
/* ctrz port: where a container's published ports are on this host. */
#include <string.h>

#include "base/alloc.h"
#include "orchestrator/cli/container_view.h"
#include "orchestrator/cli/output.h"
#include "orchestrator/cli/select.h"

/* "80", "80/tcp": what of the container's ports is asked for. */
struct asked {
	uint64_t number; /* 0 = all */
	bool any_protocol, udp;
};

static int parse_asked(struct cli *cli, const char *text, struct asked *ret, struct error *err)
{
	const char *slash = text ? strchr(text, '/') : NULL;
	AUTO_FREE char *number = NULL;

	*ret = (struct asked){ .any_protocol = !slash };
	if (!text)
		return 0;
	number = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
	if (slash && strcmp(slash, "/tcp") != 0 && strcmp(slash, "/udp") != 0)
		return cli_usage(cli, err, "'%s': a port is tcp or udp", text);
	ret->udp = slash && strcmp(slash, "/udp") == 0;
	if (!parse_u64(number, UINT16_MAX, &ret->number) || !ret->number)
		return cli_usage(cli, err, "'%s' is no port; write it as 80 or 80/udp", text);
	return 0;
}

static bool fits(const struct asked *a, const struct port_record *p)
{
	return (!a->number || a->number == p->guest_port) && (a->any_protocol || a->udp == p->udp);
}

static int none_fits(const struct container_record *c, const char *asked, struct error *err)
{
	AUTO_FREE char *all = container_ports_text(c);

	if (!asked)
		return error_set(err, E_NOT_FOUND, "container '%s' publishes no port", c->name);
	return error_set(err, E_NOT_FOUND, "container '%s' does not publish %s; %s%s", c->name,
			 asked, *all ? "it publishes " : "it publishes none", all);
}

static int run_port(struct cli *cli, const struct options *o, struct error *err)
{
	AUTO_ENV_RECORD env = { 0 };
	AUTO_BUFFER b = BUFFER_INIT;
	AUTO_JSON list = json_new_array();
	AUTO_JSON all = NULL;
	struct container_record *c = NULL;
	struct asked asked;
	size_t count = 0;
	int r = parse_asked(cli, option_arg(o, 1), &asked, err);

	if (r == 0)
		r = select_environment(cli, o, &env, err);
	if (r == 0)
		r = select_container(&env, option_arg(o, 0), &c, err);
	if (r < 0 || !c)
		return r;
	all = container_ports_json(c);
	for (size_t i = 0; i < c->port_count; i++) {
		const struct port_record *p = &c->ports[i];
		char address[ADDRESS_TEXT_SIZE];

		if (!fits(&asked, p))
			continue;
		count++;
		json_add(list, json_ref(json_item(all, i)));
		address_text(p->host_address, address);
		if (!asked.number)
			buffer_printf(&b, "%u/%s -> ", p->guest_port, p->udp ? "udp" : "tcp");
		buffer_printf(&b, "%s:%u\n", address, p->host_port);
	}
	if (cli->json)
		return out_json(list, err);
	return count ? out_write(&b, err) : none_fits(c, option_arg(o, 1), err);
}

const struct command cmd_port = {
	.name = "port",
	.operands = "NAME [PORT[/PROTOCOL]]",
	.summary = "print where a container's ports are on this host",
	.text = "With PORT only the address is printed, for scripts.",
	.example = "ctrz port web\ncurl \"http://$(ctrz port web 80)/\"",
	.run = run_port,
	.flags = COMMAND_ENVIRONMENT | COMMAND_JSON,
	.min_args = 1,
	.max_args = 2,
	.group = GROUP_CONTAINERS,
	.operand = OPERAND_CONTAINER,
};
