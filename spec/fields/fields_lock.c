/* SPDX-License-Identifier: MIT */
/* Field tables of env.lock. */
#include "spec/fields/fields_internal.h"
#include "spec/lock.h"

static const struct field lock_image_fields[] = {
	{ .name = "digests",
	  .kind = KIND_PAIRS,
	  .offset = offsetof(struct lock_image, digests),
	  .flags = FIELD_REQUIRED | FIELD_RAW,
	  .key_check = CHECK_PLATFORM,
	  .check = CHECK_DIGEST,
	  .doc = "Digest of the manifest for each platform that was asked for, as "
		 "linux/amd64." },
};

static const struct object_type lock_image_type = {
	OBJECT(lock_image, "image", "An image, named as the spec writes it."),
};

static const struct field lock_include_fields[] = {
	{ .name = "commit",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct lock_include, commit),
	  .flags = FIELD_REQUIRED | FIELD_RAW,
	  .check = CHECK_COMMIT,
	  .doc = "What the ref of the URL meant, 40 hexadecimal digits." },
	{ .name = "sha256",
	  .kind = KIND_TEXT,
	  .offset = offsetof(struct lock_include, sha256),
	  .flags = FIELD_REQUIRED | FIELD_RAW,
	  .check = CHECK_SHA256,
	  .doc = "SHA-256 of the included file, 64 hexadecimal digits." },
};

static const struct object_type lock_include_type = {
	OBJECT(lock_include, "include", "A file from git, by its URL."),
};

static const struct field spec_lock_fields[] = {
	{ .name = "version",
	  .kind = KIND_NUMBER,
	  .offset = offsetof(struct spec_lock, version),
	  .min = 1,
	  .max = 1 << 30,
	  .doc = "Of the format: 1." },
	{ .name = "images",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct spec_lock, images),
	  .object = &lock_image_type,
	  .key_check = CHECK_IMAGE,
	  .doc = "Images by the name the spec has for them." },
	{ .name = "includes",
	  .kind = KIND_MAP,
	  .offset = offsetof(struct spec_lock, includes),
	  .object = &lock_include_type,
	  .key_check = CHECK_GIT_URL,
	  .doc = "Files that are included from git, by their URL." },
};

const struct object_type lock_type = {
	OBJECT(spec_lock, "lock", "What the open names of a spec meant."),
};
