/* SPDX-License-Identifier: MIT */
/* User and group lookup in text. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "vminitd/agent/passwd.h"

enum { FIELDS_MAX = 7 };

/* The last id is what the kernel takes for "leave it as it is". */
static const uint64_t id_max = UINT32_MAX - 1;

struct line {
	const char *field[FIELDS_MAX];
	size_t size[FIELDS_MAX];
	size_t count;
};

/* Split the line at *text at its colons and step over it. Return: 0 at the end of the text. */
static int next_line(const char **text, struct line *l)
{
	const char *p = *text;
	size_t left = strcspn(p, "\n");

	if (*p == '\0')
		return 0;
	*text = p + left + (p[left] == '\n');
	l->count = 0;
	for (;;) {
		const char *colon = memchr(p, ':', left);
		size_t size = colon ? (size_t)(colon - p) : left;
		if (l->count == FIELDS_MAX)
			break;
		l->field[l->count] = p;
		l->size[l->count++] = size;
		if (!colon)
			break;
		p += size + 1;
		left -= size + 1;
	}
	return 1;
}

static bool field_is(const struct line *l, size_t i, const char *s)
{
	return l->size[i] == strlen(s) && memcmp(l->field[i], s, l->size[i]) == 0;
}

static bool field_id(const struct line *l, size_t i, uint32_t *ret)
{
	char digits[16];
	uint64_t v;

	if (l->size[i] >= sizeof(digits))
		return false;
	memcpy(digits, l->field[i], l->size[i]);
	digits[l->size[i]] = '\0';
	if (!parse_u64(digits, id_max, &v))
		return false;
	*ret = (uint32_t)v;
	return true;
}

static bool is_number(const char *s)
{
	return s[0] && strspn(s, "0123456789") == strlen(s);
}

static int parse_id(const char *s, const char *what, uint32_t *ret, struct error *err)
{
	uint64_t v;

	if (!parse_u64(s, id_max, &v))
		return error_set(err, E_INVALID, "%s %s is out of range", what, s);
	*ret = (uint32_t)v;
	return 0;
}

/* Find a user by name, or by @ret->uid where @name is NULL. */
static bool find_user(const char *passwd, const char *name, struct identity *ret)
{
	struct line l;
	uint32_t uid, gid;

	while (next_line(&passwd, &l)) {
		if (l.count < 4 || l.size[0] == 0 || l.field[0][0] == '#' ||
		    !field_id(&l, 2, &uid) || !field_id(&l, 3, &gid))
			continue;
		if (name ? !field_is(&l, 0, name) : uid != ret->uid)
			continue;
		ret->uid = uid;
		ret->gid = gid;
		ret->name = xstrndup(l.field[0], l.size[0]);
		if (l.count > 5 && l.size[5] > 0)
			ret->home = xstrndup(l.field[5], l.size[5]);
		return true;
	}
	return false;
}

static int find_group(const char *group, const char *name, uint32_t *ret, struct error *err)
{
	struct line l;

	if (is_number(name))
		return parse_id(name, "group", ret, err);
	while (next_line(&group, &l))
		if (l.count >= 3 && field_is(&l, 0, name) && field_id(&l, 2, ret))
			return 0;
	return error_set(err, E_NOT_FOUND, "there is no group '%s' in the container's /etc/group",
			 name);
}

static int add_group(struct identity *id, uint32_t gid, struct error *err)
{
	for (size_t i = 0; i < id->group_count; i++)
		if (id->groups[i] == gid)
			return 0;
	if (id->group_count == IDENTITY_GROUPS_MAX)
		return error_set(err, E_INVALID, "the user is in more than %d groups",
				 IDENTITY_GROUPS_MAX);
	id->groups[id->group_count++] = gid;
	return 0;
}

static bool lists_member(const struct line *l, const char *name)
{
	const char *p = l->field[3];
	size_t left = l->size[3], size = strlen(name);

	while (left >= size) {
		const char *comma = memchr(p, ',', left);
		size_t n = comma ? (size_t)(comma - p) : left;
		if (n == size && memcmp(p, name, n) == 0)
			return true;
		if (!comma)
			return false;
		p += n + 1;
		left -= n + 1;
	}
	return false;
}

static int add_memberships(struct identity *id, const char *group, struct error *err)
{
	struct line l;
	uint32_t gid;
	int r = 0;

	while (r == 0 && id->name && next_line(&group, &l))
		if (l.count >= 4 && field_id(&l, 2, &gid) && lists_member(&l, id->name))
			r = add_group(id, gid, err);
	return r;
}

static int resolve(const char *user, const char *group_name, const struct strlist *extra,
		   const char *passwd, const char *group, struct identity *id, struct error *err)
{
	int r = 0;

	if (user[0] == '\0' || is_number(user)) {
		if (user[0])
			r = parse_id(user, "user", &id->uid, err);
		if (r == 0)
			(void)find_user(passwd, NULL, id);
	} else if (!find_user(passwd, user, id)) {
		return error_set(err, E_NOT_FOUND,
				 "there is no user '%s' in the container's /etc/passwd", user);
	}
	if (r == 0 && group_name)
		r = find_group(group, group_name, &id->gid, err);
	if (r == 0)
		r = add_group(id, id->gid, err);
	if (r == 0 && !group_name)
		r = add_memberships(id, group, err);
	for (size_t i = 0; r == 0 && i < extra->count; i++) {
		uint32_t gid = 0;
		r = find_group(group, extra->items[i], &gid, err);
		if (r == 0)
			r = add_group(id, gid, err);
	}
	return r;
}

int identity_resolve(const char *user, const struct strlist *extra, const char *passwd,
		     const char *group, struct identity *ret, struct error *err)
{
	AUTO_FREE char *name = xstrdup(user ? user : "");
	char *colon = strchr(name, ':');
	struct identity id = IDENTITY_INIT;

	if (colon)
		*colon++ = '\0';
	if (colon && *colon == '\0')
		colon = NULL;
	int r = resolve(name, colon, extra, passwd, group, &id, err);
	if (r < 0) {
		identity_release(&id);
		return r;
	}
	if (!id.home)
		id.home = xstrdup("/");
	*ret = id;
	return 0;
}

void identity_release(struct identity *id)
{
	free(id->home);
	free(id->name);
	*id = IDENTITY_INIT;
}
