/* The metadata agent: see agent.c. */
#ifndef VM_MDATA_AGENT_H
#define VM_MDATA_AGENT_H

#include "base/cleanup.h"
#include "base/event.h"

struct mdata_agent;

/* Serves the sockets of all VMs on the loop; follows VMs that come and go. */
int mdata_agent_start(struct event_loop *l, struct mdata_agent **ret, struct error *err);
void mdata_agent_free(struct mdata_agent *a);
DEFINE_CLEANUP(mdata_agent_free, struct mdata_agent *);

#endif
