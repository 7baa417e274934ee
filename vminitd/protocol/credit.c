/* SPDX-License-Identifier: MIT */
/* Credit-based flow control. */
#include <assert.h>

#include "vminitd/protocol/credit.h"

/* A quarter: the sender never stands still while credit is on its way, and few frames are spent on
 * it. */
enum { GRANT_AT = CREDIT_WINDOW / 4 };

void credit_sent(struct credit_sender *s, size_t size)
{
	assert(size <= s->available);
	s->available -= (uint32_t)size;
}

bool credit_granted(struct credit_sender *s, uint32_t bytes)
{
	if (bytes > CREDIT_WINDOW - s->available)
		return false;
	s->available += bytes;
	return true;
}

bool credit_received(struct credit_receiver *r, size_t size)
{
	if (size > r->granted)
		return false;
	r->granted -= (uint32_t)size;
	return true;
}

uint32_t credit_consumed(struct credit_receiver *r, size_t size)
{
	assert(size <= CREDIT_WINDOW - r->granted - r->owed);
	r->owed += (uint32_t)size;
	if (r->owed < GRANT_AT)
		return 0;
	uint32_t grant = r->owed;
	r->granted += grant;
	r->owed = 0;
	return grant;
}
