/* SPDX-License-Identifier: MIT */
/* What nearly every process of an image reads, read before the first of them starts. */
#ifndef CTRZ_VMINITD_AGENT_WARM_H
#define CTRZ_VMINITD_AGENT_WARM_H

/** warm_up() - into the page cache; what is not there is left out. @root: O_PATH of the container's
 */
void warm_up(int root);

#endif
