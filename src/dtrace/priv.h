/*
 * Privileges: what a consumer that works for somebody else may see.  priv.c has the theory.
 *
 * A struct confine, once dt->confine points to it, holds for all that dt does; without
 * one everything is allowed, which is the case of the global zone's root and of users with
 * dtrace_kernel.  A struct remote, dt->remote, is where files, deeds and numbers of a
 * consumer's client are; without one they are this process's own.
 */
#ifndef DTRACE_PRIV_H
#define DTRACE_PRIV_H

#include "dtrace/gen.h"
#include "dtrace/priv_deed.h"

enum { PRIV_DTRACE_USER = 1, PRIV_DTRACE_PROC = 2, PRIV_DTRACE_KERNEL = 4 };
#define PRIV_OF_ZONES (PRIV_DTRACE_USER | PRIV_DTRACE_PROC) /* the most that a zone may have */

struct confine {
	char *zone;		/* the name its processes see; "global" */
	unsigned privs;		/* PRIV_DTRACE_USER, PRIV_DTRACE_PROC */
	uint64_t cgroup;	/* id of zones/NAME, two below the root; 0: the global zone */
	uint32_t user_ns;	/* inode number of its user namespace */
	uint32_t uid_base;	/* first of its ids on the node */
	bool owner_only;	/* a user that is not the zone's root: only what is */
	uint32_t owner, group;	/* these ids', as the node knows them */
	int pid_ns;		/* a descriptor of its pid namespace */
	int root;		/* of a user: of the root directory whose /etc says what he may */
};

struct remote {
	int64_t target;		/* the command held for -c in the client's numbers; 0: none */
	int go;			/* where a byte lets it go on */
	const char *library;	/* folder of the D library; NULL: the usual one */
	void *arg;
	/* A file as the zone's command read it; the caller's. */
	int (*file)(void *arg, const char *path, char **ret, size_t *ret_len, struct error *err);
	int (*deed)(void *arg, enum deed deed, const char *text, size_t len, struct error *err);
	/* $pid, $uid ... of the command. */
	bool (*macro)(void *arg, const char *name, int64_t *ret);
};

/* Words of limit_priv or of a user's defaultpriv ("default,!dtrace_user") to PRIV_*; NULL is "default". */
unsigned priv_parse(const char *words);
/*
 * What user_attr(5) and passwd(5), these texts, give the user `uid`; *ret_name, the caller's, is its
 * name or NULL.  Both texts may be anybody's.
 */
unsigned priv_of_user(const char *user_attr, const char *passwd, uint32_t uid, char **ret_name);

/* The definitions that translators and built-in variables see processes through, in D. */
char *priv_view(const struct dt *dt);

/* Compiling.  Each is 0 where there is no confinement. */
int priv_check_option(const struct dt *dt, const char *name, struct error *err);
int priv_check_ident(const struct dt *dt, const struct node *n, const struct ident *row,
		     struct error *err);
int priv_check_param(const struct dt *dt, const struct node *n, const struct ctf_type *type,
		     const struct node *value, struct error *err);
/* A name that the library or the kernel has must keep its meaning. */
int priv_check_name(const struct dt *dt, const struct node *n, const char *what, const char *name,
		    struct error *err);
bool priv_provider(const struct dt *dt, const struct provider *p);
bool priv_probe(const struct dt *dt, const struct probe *p);

/* Processes: the zone's numbers and ours.  Both are the same without confinement; 0: none of ours. */
pid_t priv_pid_here(const struct dt *dt, pid_t shown);
pid_t priv_pid_shown(const struct dt *dt, pid_t pid);
bool priv_may_look(void *dt, pid_t pid); /* into its memory, for names */

/* Generating. */
void gen_confine(struct gen *g); /* leaves the program unless the process is the zone's */
/* The node at work decides whether kernel memory may be read; returns what held before. */
bool gen_trust(struct gen *g, bool library);
/* reg holds an address of `size` bytes; may change r4 and r5. */
void gen_guard(struct gen *g, int reg, size_t size, bool is_user);
/* r0 is argument i of the hook's probe: what of it n may see. */
int gen_arg_view(struct gen *g, const struct node *n, unsigned i, struct error *err);
/* Is that variable about the process? */
bool priv_is_process(enum builtin b);
bool gen_may_miss(const struct gen *g); /* a failed read gives 0, not an error */
int gen_walk_check(struct gen *g, const struct node *n, struct error *err);

/* The consumer.  A deed comes behind the output before it. */
int priv_deed(struct dt *dt, enum deed deed, const char *text, struct error *err);
int priv_read_file(struct dt *dt, const char *path, char **ret, size_t *ret_len, struct error *err);

#endif
