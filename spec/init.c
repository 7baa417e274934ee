/* SPDX-License-Identifier: MIT */
/* A first env.yaml for a folder, by what lies in it. */
#include "spec/init.h"

#include "base/cleanup.h"
#include "base/file.h"

/* A kind of project: the file that shows it, and what to start with. */
struct project {
	const char *mark;
	const char *found;
	const char *image;
	const char *target; /* where the folder appears */
	const char *access;
	const char *command; /* as YAML */
	const char *port;    /* HOST:CONTAINER, NULL = none */
	unsigned memory_mib;
};

/* The most telling file comes first. */
static const struct project projects[] = {
	{ "pnpm-lock.yaml", "a Node.js project (pnpm-lock.yaml)", "docker.io/library/node:22",
	  "/workspace", "rw", "corepack enable && pnpm install && pnpm start", "3000:3000", 2048 },
	{ "yarn.lock", "a Node.js project (yarn.lock)", "docker.io/library/node:22", "/workspace",
	  "rw", "yarn install && yarn start", "3000:3000", 2048 },
	{ "package-lock.json", "a Node.js project (package-lock.json)", "docker.io/library/node:22",
	  "/workspace", "rw", "npm ci && npm start", "3000:3000", 2048 },
	{ "manage.py", "a Django project (manage.py)", "docker.io/library/python:3.12",
	  "/workspace", "rw",
	  "pip install -r requirements.txt && python manage.py runserver 0.0.0.0:8000", "8000:8000",
	  1024 },
	{ "package.json", "a Node.js project (package.json)", "docker.io/library/node:22",
	  "/workspace", "rw", "npm install && npm start", "3000:3000", 2048 },
	{ "pyproject.toml", "a Python project (pyproject.toml)", "docker.io/library/python:3.12",
	  "/workspace", "rw", "pip install -e . && python -m http.server 8000", "8000:8000", 1024 },
	{ "requirements.txt", "a Python project (requirements.txt)",
	  "docker.io/library/python:3.12", "/workspace", "rw",
	  "pip install -r requirements.txt && python -m http.server 8000", "8000:8000", 1024 },
	{ "go.mod", "a Go project (go.mod)", "docker.io/library/golang:1.23", "/workspace", "rw",
	  "go run .", "8080:8080", 2048 },
	{ "Cargo.toml", "a Rust project (Cargo.toml)", "docker.io/library/rust:1.82", "/workspace",
	  "rw", "cargo run", "8080:8080", 4096 },
	{ "pom.xml", "a Java project (pom.xml)", "docker.io/library/maven:3.9", "/workspace", "rw",
	  "mvn -q package && java -jar target/*.jar", "8080:8080", 4096 },
	{ "Gemfile", "a Ruby project (Gemfile)", "docker.io/library/ruby:3.3", "/workspace", "rw",
	  "bundle install && bundle exec rackup -o 0.0.0.0", "9292:9292", 1024 },
	{ "composer.json", "a PHP project (composer.json)", "docker.io/library/php:8.3",
	  "/workspace", "rw", "php -S 0.0.0.0:8000", "8000:8000", 512 },
	{ "index.html", "a web site (index.html)", "docker.io/library/nginx:1.27",
	  "/usr/share/nginx/html", "ro", NULL, "8080:80", 256 },
};

static const struct project fallback = {
	NULL,
	"a plain Debian: no package.json, go.mod or the like tells more",
	"docker.io/library/debian:12",
	"/workspace",
	"rw",
	"sleep infinity",
	NULL,
	512
};

static bool has_file(const struct spec_host *host, const char *dir, const char *name)
{
	AUTO_FREE char *path = path_join(dir, name);
	return host && host->path && host->path(host->arg, path) == SPEC_PATH_FILE;
}

static bool has_compose(const struct spec_host *host, const char *dir)
{
	static const char *const names[] = { "compose.yaml", "compose.yml", "docker-compose.yaml",
					     "docker-compose.yml" };
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (has_file(host, dir, names[i]))
			return true;
	return false;
}

/* As much as the kind of project likes, if this host has it. */
static void add_resources(const struct spec_host *host, unsigned memory_mib, struct buffer *out)
{
	unsigned cpus = host && host->cpus == 1 ? 1 : 2;
	uint64_t half_mib = host ? host->memory_total >> 21 : 0;
	while (half_mib && memory_mib > half_mib && memory_mib > 128)
		memory_mib /= 2;
	if (memory_mib % 1024)
		buffer_printf(out, "    resources: { cpus: %u, memory: %uMiB }\n", cpus,
			      memory_mib);
	else
		buffer_printf(out, "    resources: { cpus: %u, memory: %uGiB }\n", cpus,
			      memory_mib / 1024);
}

const char *spec_init(const struct spec_host *host, const char *dir, struct buffer *out)
{
	const struct project *p = &fallback;
	for (size_t i = 0; i < ARRAY_SIZE(projects) && p == &fallback; i++)
		if (has_file(host, dir, projects[i].mark))
			p = &projects[i];
	buffer_add_str(out, "# What this environment is made of; man env.yaml tells all keys.\n");
	if (has_compose(host, dir))
		buffer_add_str(out, "# There is a Compose file here, too: ctrz import makes an "
				    "env.yaml of it.\n");
	if (has_file(host, dir, "Dockerfile"))
		buffer_add_str(out,
			       "# ctrz builds no images yet: to use the Dockerfile here, build "
			       "and push its image and name it below.\n");
	buffer_printf(
		out,
		"containers:\n"
		"  app:\n"
		"    image: %s\n"
		"    # This folder inside. rw: programs inside can change it; .git stays as it "
		"is.\n"
		"    mounts:\n"
		"      - .:%s:%s\n",
		p->image, p->target, p->access);
	if (p->command)
		buffer_printf(
			out,
			"    working_dir: %s\n"
			"    # A text goes to /bin/sh; a list [program, argument] is run as it "
			"is.\n"
			"    command: %s\n",
			p->target, p->command);
	if (p->port)
		buffer_printf(out,
			      "    # HOST:CONTAINER; only this host can reach it.\n"
			      "    ports: [\"%s\"]\n",
			      p->port);
	add_resources(host, p->memory_mib, out);
	if (p->port)
		buffer_printf(out, "message: http://127.0.0.1:%.*s\n", 4, p->port);
	return p->found;
}
