/*
 * Setting a node up: answers, dialogue, and doing it.
 *
 * The dialogue is a list of questions (one row each in install_dialogue.c) with
 * a key of answers.json(5), a default and a check.  An answer comes from
 * answers.json or from the console; one that is missing is asked for, one that
 * fails its check is explained and asked for again.  When all questions are
 * answered the whole is shown, and only a last "yes" lets anything be written.
 *
 * The dialogue knows the machine only as a struct install_env, and the console
 * only as a struct install_term, so that tests drive it with scripts.
 */
#ifndef BOOT_INSTALL_H
#define BOOT_INSTALL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/conf.h"
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"
#include "boot/net_plan.h"
#include "store/disk.h"
#include "store/layout.h"

/* The machine, as far as questions need it. */
struct install_env {
	const struct net_link *links;
	const bool *carrier; /* of each link */
	size_t n_links;
	const struct disk_list *disks;
	const struct strv *busy; /* disks that other pools use: left alone; may be NULL */
	const char *old_pool;	 /* a pool that will be destroyed, or NULL */
	bool medium;		 /* the medium we were booted from can be read again */
};

/* A console.  An implementation's own struct begins with this. */
struct install_term {
	/* One line without its newline, the caller's; -ENODATA at the end of input. */
	int (*read_line)(struct install_term *t, bool echo, char **ret, struct error *err);
	void (*write)(struct install_term *t, const char *text);
	bool shell; /* the operator can be given a root shell (zpool_layout manual) */
};

struct install {
	const struct install_env *env;
	struct install_term *term;
	struct map *answers;   /* key to checked value */
	struct map *file;      /* key to what answers.json says, unchecked; may be empty */
	struct layout *layout; /* of zpool_layout; NULL for manual */
	bool ask_all;	       /* nothing is taken from the file any more */
};

#define INSTALL_INIT {0}
void install_init(struct install *in, const struct install_env *env, struct install_term *term);
void install_done(struct install *in);
#define cleanup_install CLEANUP(install_done)

/* NULL if it was not answered. */
const char *install_answer(const struct install *in, const char *key);

/*
 * Takes answers.json: an object of strings, booleans and numbers (and lists of
 * strings for root_authorized_keys).  Unknown keys are an error that names them.
 */
int install_take_json(struct install *in, const struct json *j, struct error *err);

/*
 * Asks until everything is answered and confirmed: 0.  -ECANCELED: the operator
 * wants a reboot; -ENODATA: the console is gone.
 */
int install_dialogue(struct install *in, struct error *err);

/* The node's /usbkey/config, made of the answers. */
struct conf *install_config(const struct install *in);

/* --- doing it (install_setup.c) */

#define INSTALL_POOL "zones"
typedef void install_say_fn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Makes pool, datasets and files, and mounts them; each step is said. */
int install_setup(const struct install *in, install_say_fn *say, struct error *err);
/* Bytes for POOL/dump and POOL/swap on a node with that memory and room. */
void install_volume_sizes(uint64_t memory, uint64_t avail, uint64_t *ret_dump, uint64_t *ret_swap);

#endif
