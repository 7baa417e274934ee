/* SPDX-License-Identifier: MIT */
/* The tree: finding, replacing, removing and pruning, with every node that goes reported once. */
#include <stdio.h>
#include <sys/stat.h>

#include "runtime/image/image_tree.h"
#include "tests/unit/test.h"

static int count_dropped(void *arg, uint32_t node, struct error *err)
{
	(void)node;
	(void)err;
	(*(unsigned *)arg)++;
	return 0;
}

struct fixture {
	struct image_tree tree;
	unsigned dropped;
};

static void fixture_release(struct fixture *f)
{
	image_tree_release(&f->tree);
}

static void fixture_init(struct fixture *f)
{
	f->dropped = 0;
	image_tree_init(&f->tree, 100000);
	f->tree.dropped = count_dropped;
	f->tree.dropped_arg = &f->dropped;
}

static uint32_t add(struct fixture *f, uint32_t parent, const char *name, uint16_t mode,
		    uint16_t layer)
{
	AUTO_ERROR err = ERROR_INIT;
	uint32_t node = 0;
	uint32_t link = image_tree_find(&f->tree, parent, name, strlen(name));

	assert_ok(err, image_tree_add_node(&f->tree, mode, &node, &err));
	image_tree_node(&f->tree, node)->layer = layer;
	image_tree_attach(&f->tree, parent, link, name, strlen(name), node)->layer = layer;
	return node;
}

/* Return: the node, or TREE_NONE */
static uint32_t look(struct fixture *f, uint32_t parent, const char *name)
{
	uint32_t link = image_tree_find(&f->tree, parent, name, strlen(name));

	return link == TREE_NONE ? TREE_NONE : image_tree_link(&f->tree, link)->node;
}

TEST(names_belong_to_their_folder)
{
	CLEANUP(fixture_release) struct fixture f;
	uint32_t a, b;

	fixture_init(&f);
	a = add(&f, TREE_ROOT, "a", S_IFDIR, 0);
	b = add(&f, a, "b", S_IFREG, 0);
	assert_int_equal(look(&f, a, "b"), b);
	assert_int_equal(look(&f, TREE_ROOT, "b"), TREE_NONE);
	assert_int_equal(look(&f, a, "bb"), TREE_NONE);
	assert_int_equal(f.tree.live, 3);
}

TEST(many_names_are_all_found)
{
	CLEANUP(fixture_release) struct fixture f;
	char name[16];

	fixture_init(&f);
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(add(&f, TREE_ROOT, name, S_IFREG, 0), i + 1);
	}
	for (unsigned i = 0; i < 20000; i++) {
		(void)snprintf(name, sizeof(name), "n%u", i);
		assert_int_equal(look(&f, TREE_ROOT, name), i + 1);
	}
	assert_true(f.tree.steps < 100000);
}

TEST(removing_a_folder_removes_what_is_below)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	uint32_t at = TREE_ROOT;

	fixture_init(&f);
	for (int i = 0; i < 5000; i++) {
		at = add(&f, at, "d", S_IFDIR, 0);
		(void)add(&f, at, "f", S_IFREG, 0);
	}
	assert_ok(err,
		  image_tree_detach(&f.tree, image_tree_find(&f.tree, TREE_ROOT, "d", 1), &err));
	assert_int_equal(f.dropped, 10000);
	assert_int_equal(f.tree.live, 1);
	assert_int_equal(look(&f, TREE_ROOT, "d"), TREE_NONE);
	/* The same name again is empty. */
	at = add(&f, TREE_ROOT, "d", S_IFDIR, 0);
	assert_int_equal(look(&f, at, "f"), TREE_NONE);
	assert_int_equal(look(&f, at, "d"), TREE_NONE);
}

TEST(a_node_lives_as_long_as_it_has_a_name)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	uint32_t node;

	fixture_init(&f);
	node = add(&f, TREE_ROOT, "one", S_IFREG, 0);
	(void)image_tree_attach(&f.tree, TREE_ROOT, TREE_NONE, "two", 3, node);
	assert_ok(err,
		  image_tree_detach(&f.tree, image_tree_find(&f.tree, TREE_ROOT, "one", 3), &err));
	assert_int_equal(f.dropped, 0);
	assert_int_equal(look(&f, TREE_ROOT, "two"), node);
	assert_ok(err,
		  image_tree_detach(&f.tree, image_tree_find(&f.tree, TREE_ROOT, "two", 3), &err));
	assert_int_equal(f.dropped, 1);
}

TEST(pruning_takes_lower_layers_only)
{
	AUTO_ERROR err = ERROR_INIT;
	CLEANUP(fixture_release) struct fixture f;
	uint32_t d, sub;

	fixture_init(&f);
	d = add(&f, TREE_ROOT, "d", S_IFDIR, 0);
	(void)add(&f, d, "old", S_IFREG, 0);
	sub = add(&f, d, "sub", S_IFDIR, 0);
	(void)add(&f, sub, "old", S_IFREG, 0);
	(void)add(&f, sub, "new", S_IFREG, 1);
	image_tree_node(&f.tree, sub)->mode = S_IFDIR | 0700;
	/* Layer 1 passed through sub. */
	image_tree_link(&f.tree, image_tree_find(&f.tree, d, "sub", 3))->layer = 1;
	assert_ok(err, image_tree_prune(&f.tree, d, 1, &err));
	assert_int_equal(look(&f, d, "old"), TREE_NONE);
	assert_int_equal(look(&f, sub, "old"), TREE_NONE);
	assert_int_not_equal(look(&f, sub, "new"), TREE_NONE);
	assert_int_equal(image_tree_node(&f.tree, sub)->mode, S_IFDIR | 0755);
	/* A second time it has nothing to do. */
	uint64_t steps = f.tree.steps;
	assert_ok(err, image_tree_prune(&f.tree, d, 1, &err));
	assert_int_equal(f.tree.steps, steps);
}

TEST(limit)
{
	AUTO_ERROR err = ERROR_INIT;
	struct image_tree t;
	uint32_t node = 0;

	image_tree_init(&t, 3);
	assert_ok(err, image_tree_add_node(&t, S_IFREG, &node, &err));
	assert_ok(err, image_tree_add_node(&t, S_IFREG, &node, &err));
	assert_error(err, E_INTEGRITY, image_tree_add_node(&t, S_IFREG, &node, &err));
	image_tree_release(&t);
}
