/* SPDX-License-Identifier: MIT */
/* Every finding explained: what it is, why it is one, how to mend it. */
#include "spec/report/explain.h"

#include <string.h>
#include <strings.h>

#include "base/cleanup.h"

static const struct explanation explanations[] = {
	{ "E001", "The file is not YAML.",
	  "The text cannot be taken apart: a tab instead of spaces, a quote that is not closed, a "
	  "text with \": \" or a leading @ or % without quotes, keys of one map in different "
	  "columns.",
	  "Go to the line and column that are named; the second place, if there is one, is where "
	  "the broken part began.",
	  "command: echo a: b", "command: \"echo a: b\"" },
	{ "E002", "A key is given twice.",
	  "Only one of the two could count, and which one differs between programs.",
	  "Remove one of them.", "user: a\nuser: b", "user: b" },
	{ "E003", "The file is too large, nested too deep, or its aliases add too much.",
	  "Files come from other people; a small one could otherwise fill the memory.",
	  "Split the file with include:, or write less with aliases. The limits are 16 MiB, 64 "
	  "levels, 2 million values, 100,000 values by aliases.",
	  NULL, NULL },
	{ "E004", "The file has bytes that a YAML text cannot have.",
	  "It is not UTF-8, or has control characters in it.",
	  "Save it as UTF-8; write control characters as \\xNN inside double quotes.", NULL, NULL },
	{ "E005", "The file has a second document.", "A file describes one environment.",
	  "Remove the line ---, or put the rest into a file of its own and include it.", NULL,
	  NULL },
	{ "E006", "A tag that is not known.",
	  "Values are typed by the key they belong to, so tags mean nothing here.",
	  "Remove it. In an overlay, KEY: null takes a key away.", "user: !reset x", "user: null" },
	{ "E007", "The merge key takes a map.", "<<: puts the entries of another map here.",
	  "Give it an alias of a map, or a list of those.", "<<: text", "<<: *common" },
	{ "E101", "The file is empty, or has no containers.", "There is nothing to bring up.",
	  "Write at least one container with its image.", "name: shop",
	  "containers:\n  web: { image: docker.io/library/nginx:1.27 }" },
	{ "E102", "This is a Compose file.",
	  "env.yaml is another language: containers are machines, mounts are read-only unless said "
	  "otherwise.",
	  "Run ctrz import compose.yaml: it writes an env.yaml and lists what it could not carry "
	  "over.",
	  "services:\n  web: {}", "containers:\n  web: {}" },
	{ "E103", "A value has the wrong type.", "The key wants something else than what is there.",
	  "The message says what is expected. Numbers and true or false are written without "
	  "quotes, texts that look like those with quotes.",
	  "ports: 80", "ports: [\"8080:80\"]" },
	{ "E104", "A key that does not exist.",
	  "Keys that are not known are never skipped: they are nearly always slips of the pen.",
	  "Take the proposal, or one of the keys listed. Notes of your own begin with x-.",
	  "imgae: nginx", "image: nginx" },
	{ "E105", "A key of another tool.",
	  "It has another name here, or another thing does its work.",
	  "Write what the message says.", "environment: {}", "env: {}" },
	{ "E106", "A name has a character it cannot have.",
	  "Names become host names, folders and variables.",
	  "The message says which characters are allowed.", "containers:\n  Web_1: {}",
	  "containers:\n  web-1: {}" },
	{ "E107", "A value that is none of those allowed.", "The key takes one of a few words.",
	  "Take one of those listed.", "pull: alwyas", "pull: always" },
	{ "E108", "A word that only old YAML reads as true or false.",
	  "In YAML 1.2 yes, no, on and off are texts.", "Write true or false.", "tty: yes",
	  "tty: true" },
	{ "E109", "A size without a good unit.",
	  "512 and 512M mean different things to different programs.",
	  "Write KiB, MiB, GiB, TiB (1024) or KB, MB, GB, TB (1000).", "memory: 512",
	  "memory: 512MiB" },
	{ "E110", "A duration without a good unit.", "10 could be seconds or milliseconds.",
	  "Write h, m, s or ms, larger units first.", "grace: 10", "grace: 1m30s" },
	{ "E111", "A port that is none.",
	  "8080: 80 is a map in YAML, and 22:22 without quotes is the number 1342 to many "
	  "programs.",
	  "Write it in quotes, as [IP:][HOST:]CONTAINER[/udp].", "ports: [22:22]",
	  "ports: [\"22:22\"]" },
	{ "E112", "A file mode without quotes.",
	  "YAML 1.2 reads 0644 as six hundred and forty-four.", "Put it in quotes.", "mode: 0644",
	  "mode: \"0644\"" },
	{ "E113", "A key is missing.", "Without it the rest means nothing.", "Add it.",
	  "containers:\n  web: {}", "containers:\n  web: { image: docker.io/library/nginx:1.27 }" },
	{ "E114", "A line of an env_file is not NAME=VALUE.",
	  "The file is taken as it is: nothing is expanded, and what follows = is the value. The "
	  "line is not shown, for it may hold a secret.",
	  "Mend the line.", "one two", "ONE=two" },
	{ "E115", "Only one of several keys can be given.",
	  "They are different ways to say the same thing.", "Keep one of them.",
	  "health: { exec: x, tcp: 80 }", "health: { tcp: 80 }" },
	{ "E116", "A task that is always restarted.", "A task is over when it has exited with 0.",
	  "Write restart: on-failure, or kind: service.", NULL, NULL },
	{ "E120", "A key that has no effect in this version yet.",
	  "ctrz refuses what it would not do, instead of ignoring it.",
	  "Remove it. ctrz validate --all checks the rest of the file.", NULL, NULL },
	{ "E201", "A variable has no value.",
	  "It has no default, and the host does not give it one.",
	  "Set it in the environment, give it a default: in vars, or write ${NAME:-value}.",
	  "vars: { A: {} }", "vars: { A: { default: \"1\" } }" },
	{ "E202", "A variable that is not declared.",
	  "A file may use only what it declares in vars:, so that a reader sees all its inputs.",
	  "Declare it; a ${ that is meant as text is written $${.", "user: ${USER}",
	  "vars: { USER: { env: USER } }" },
	{ "E203", "A ${ that cannot be read.",
	  "It is not closed, or what is behind the name is no operator.",
	  "Write ${NAME}, ${NAME:-value}, ${NAME:?message} or ${NAME:+value}; a ${ that is meant "
	  "as text is $${.",
	  "user: ${A", "user: ${A}" },
	{ "E205", "A ${ } where none can be.",
	  "Keys, name and include are needed before variables are known.", "Write the text itself.",
	  "name: ${A}", "name: shop" },
	{ "E206", "A default that needs itself.", "The variables refer to each other in a circle.",
	  "Give one of them a plain default.", NULL, NULL },
	{ "E207", "A value grows too large.",
	  "Variables that hold each other many times would fill the memory.",
	  "A value can have 1 MiB.", NULL, NULL },
	{ "E208", "A value that the file insists on is not there.", "${NAME:?message} says so.",
	  "Do what the message says.", NULL, NULL },
	{ "E301", "The name of an image has a mistake.",
	  "It is [host[:port]/]name[:tag][@digest], the name in lower case.",
	  "The message names the part.", "image: Nginx", "image: docker.io/library/nginx:1.27" },
	{ "E303", "The digest of an image has a mistake.",
	  "sha256: is followed by 64 hexadecimal digits.", "Copy it again.", NULL, NULL },
	{ "E304", "The image cannot be had from its registry.",
	  "It is not there, or only for other processors, or the registry does not answer. "
	  "ctrz validate --registry asks for it.",
	  "Mend the name or the tag, or take an image for this host's platform.", NULL, NULL },
	{ "E305", "The lock would change.",
	  "--locked was given, and env.lock is not there, lacks something or has something that is "
	  "not used any more.",
	  "Run ctrz lock, look at the difference, commit env.lock.", NULL, NULL },
	{ "E307", "The lock cannot be used.",
	  "A newer ctrz wrote env.lock, it was edited by hand, or a file from git is not the one "
	  "it was made of.",
	  "Look into what changed it. If all is well, remove env.lock and run ctrz lock.", NULL,
	  NULL },
	{ "E401", "A file or folder of the host is missing.",
	  "ctrz makes nothing on your host unasked.",
	  "Make it, or write create: dir in the long form of the mount.",
	  "mounts: [\"./missing:/x\"]", "mounts: [{ source: ./made, target: /x, create: dir }]" },
	{ "E402", "The source of a mount is of another kind.",
	  "A folder is mounted with type: dir, a file with type: file.",
	  "Change type:, or the source.", NULL, NULL },
	{ "E403", "The source of a mount leads out of the project.",
	  "A relative path that leaves the folder of the file, by .. or by a link, is easily "
	  "overlooked by those who read it.",
	  "Write the absolute path or ~/ if it is wanted.", "mounts: [\"../keys:/keys\"]",
	  "mounts: [\"/srv/keys:/keys\"]" },
	{ "E404", "A place of the host that is never shared.",
	  "It would give the guest power over the host, or your keys, or let it agree to things in "
	  "your name.",
	  "Mount only the folder that is needed.", "mounts: [\"~:/home\"]",
	  "mounts: [\"~/src:/home/src\"]" },
	{ "E405", "A target that cannot be.",
	  "It is an absolute path in the container; /proc, /sys, /dev and /run/secrets belong to "
	  "the system.",
	  "Choose another.", "mounts: [\"./a:a\"]", "mounts: [\"./a:/a\"]" },
	{ "E406", "Two things at one target.", "Only one could be seen.",
	  "Choose another target for one of them.", NULL, NULL },
	{ "E407", "A volume that is not declared.",
	  "Volumes have a size, so they are declared; a folder begins with ./",
	  "Declare it in volumes:, or write ./NAME for a folder.", "mounts: [\"data:/data\"]",
	  "volumes: { data: { size: 4GiB } }" },
	{ "E408", "A loop of symbolic links.", "The path never ends.", "Mend the links.", NULL,
	  NULL },
	{ "E411", "A volume written by two machines.",
	  "Two kernels that write one disk destroy it, and one that reads sees it change behind "
	  "its back.",
	  "Share a folder instead, or give all access: ro.", NULL, NULL },
	{ "E413", "A key that does not go with the mount's type.",
	  "A folder of the host is named by its own path; only a volume has parts.",
	  "Write the folder itself as source.",
	  "mounts: [{ source: ./data, target: /v, subpath: db }]",
	  "mounts: [{ source: ./data/db, target: /v }]" },
	{ "E414", "A socket that cannot be forwarded.",
	  "With direction: in a service listens at host; with out the path is made when the "
	  "container "
	  "runs. ssh-agent is the agent of whoever brings it up.",
	  "Name a socket.", "sockets: [\"./src:/run/x.sock\"]",
	  "sockets: [\"./run/x.sock:/run/x.sock\"]" },
	{ "E501", "A name that is not declared.",
	  "Networks, containers, processes, secrets and files are declared before they are used.",
	  "Take the proposal, or declare it.", NULL, NULL },
	{ "E502", "Dependencies go round in a circle.", "None of them could start first.",
	  "Take one of them away.", NULL, NULL },
	{ "E503", "healthy, but there is no probe.", "Nothing could tell when it is.",
	  "Give the other one health:, or wait for started.", NULL, NULL },
	{ "E504", "done, but it is no task.", "Something that keeps running is never done.",
	  "Give it kind: task, or wait for started or exited.", NULL, NULL },
	{ "E505", "A dependency that is left out.",
	  "It is only there with a profile that was not asked for.",
	  "Ask for it with --profile, or give both the same profiles.", NULL, NULL },
	{ "E506", "A subnet that is taken.", "Addresses would mean two things.",
	  "Choose another, or leave it out: ctrz chooses a free one.", NULL, NULL },
	{ "E507", "A fixed address that cannot be.",
	  "It is outside the subnet, given twice, or the network's own.", "Choose another.", NULL,
	  NULL },
	{ "E508", "A port of the host is published twice.", "Only one can have it.",
	  "Choose another, or write auto.", NULL, NULL },
	{ "E509", "A port of the host is taken.", "Another program listens on it.",
	  "Stop that, choose another port, or write auto.", NULL, NULL },
	{ "E510", "A port below 1024.", "Only root may listen on it.", "Choose one from 1024 up.",
	  "ports: [\"80:80\"]", "ports: [\"8080:80\"]" },
	{ "E512", "An address, subnet or host that is none.",
	  "IPv4 addresses are four numbers, subnets have /BITS behind.", "Mend it.",
	  "subnet: 10.0.0.5/24", "subnet: 10.0.0.0/24" },
	{ "E513", "Ports of a container in no network.",
	  "A port is published through the container's network.",
	  "Take the empty networks: or the ports away.", "networks: []", "networks: [default]" },
	{ "E601", "command and processes together.",
	  "processes: is several commands; one command beside them would be another.",
	  "Make the command one of the processes.", NULL, NULL },
	{ "E602", "An empty command.", "Nothing would run.",
	  "Remove the key to run what the image says.", "command: []",
	  "command: [sleep, infinity]" },
	{ "E603", "A signal that does not exist.",
	  "Signals have names as SIGTERM, or numbers from 1 to 64.", "Take the proposal.",
	  "signal: SIGTREM", "signal: SIGTERM" },
	{ "E604", "More than the host has.",
	  "A virtual machine needs its memory and processors for itself.",
	  "Give the containers less, or start fewer.", NULL, NULL },
	{ "E605", "Too little memory.", "A kernel and what runs on it need 64 MiB.",
	  "Give it more.", "memory: 32MiB", "memory: 128MiB" },
	{ "E606", "A limit, sysctl or capability that does not exist.", "The kernel knows others.",
	  "Take the proposal.", NULL, NULL },
	{ "E608", "The file needs another version of ctrz.", "requires: says so.",
	  "Install that version.", NULL, NULL },
	{ "E701", "Files include each other in a circle, or too deep.",
	  "It would never end; 8 levels and 256 files are the limit.", "Take one include away.",
	  NULL, NULL },
	{ "E702", "An included file redefines something.",
	  "Which one counts would depend on the order of reading.",
	  "Rename one, or give the file as an overlay: -f a.yaml -f b.yaml.", NULL, NULL },
	{ "E703", "A git URL that cannot be.",
	  "Only git+https, git+ssh and git+file are read; nothing in it may lead elsewhere: no "
	  "\"..\", no password, no part that begins with \"-\".",
	  "Mend the URL.", NULL, NULL },
	{ "E704", "A secret is missing on this host.",
	  "Its variable is not set, or its file is not there.", "Set it, or write required: false.",
	  NULL, NULL },
	{ "W207", "A variable that is never used.",
	  "Perhaps its name is misspelt where it is used.", "Use it or remove it.", NULL, NULL },
	{ "W302", "An image without a fixed version.",
	  "What is behind latest changes; two people get two programs.", "Name a tag, or a digest.",
	  "image: docker.io/library/nginx", "image: docker.io/library/nginx:1.27" },
	{ "W306", "An image without a registry.", "It is read as docker.io/library/NAME.",
	  "Write the whole name.", "image: nginx:1.27", "image: docker.io/library/nginx:1.27" },
	{ "W409", "The guest can write .git.",
	  "Hooks and settings in it run as you, on the host, at your next git command.",
	  "git: ro lets the guest read it.", NULL, NULL },
	{ "W410", "Two containers write one folder.",
	  "Locks of one machine are not seen by the other.", "Give one of them access: ro.", NULL,
	  NULL },
	{ "W412", "A password in .git/config.", "The share shows it to the guest.",
	  "Use a credential helper, or git: hide.", NULL, NULL },
	{ "W511", "A port for everybody.", "0.0.0.0 publishes it to all networks the host is in.",
	  "Leave the address out for 127.0.0.1.", NULL, NULL },
	{ "W607", "A timeout that is not shorter than the interval.",
	  "A slow probe delays the next one.", "Make the interval longer.", NULL, NULL },
	{ "W801", "A key of a Compose file that is not carried over.",
	  "There is nothing like it here, or it is so anyway.",
	  "The message says what to write instead, if there is something.", NULL, NULL },
	{ "W802", "A key of a Compose file that means something else here.",
	  "The two languages differ: env.yaml prefers what is safe.",
	  "Read what it means here, and change it if that is not wanted.", NULL, NULL },
};

const struct explanation *spec_explanations(size_t *ret_count)
{
	*ret_count = ARRAY_SIZE(explanations);
	return explanations;
}

const struct explanation *spec_explanation(const char *code)
{
	for (size_t i = 0; i < ARRAY_SIZE(explanations); i++)
		if (strcasecmp(explanations[i].code, code) == 0)
			return &explanations[i];
	return NULL;
}

static void add_example(struct buffer *out, const char *head, const char *text)
{
	buffer_printf(out, "\n%s\n", head);
	for (const char *line = text; *line;) {
		size_t n = strcspn(line, "\n");
		buffer_printf(out, "    %.*s\n", (int)n, line);
		line += n + (line[n] == '\n');
	}
}

bool spec_explain(const char *code, struct buffer *out)
{
	const struct explanation *e = spec_explanation(code);
	if (!e)
		return false;
	buffer_printf(out, "%s (%s): %s\n\nWhy: %s\n\nWhat to do: %s\n", e->code,
		      e->code[0] == 'E' ? "error" : "warning", e->what, e->why, e->mend);
	if (e->bad)
		add_example(out, "Instead of:", e->bad);
	if (e->good)
		add_example(out, "write:", e->good);
	return true;
}
