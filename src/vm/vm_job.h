/*
 * A piece of work on a VM, made of steps, and the journal that outlives it.
 *
 * Theory.  A create is a list of steps, each with an undo.  Before the first
 * step a journal file says what is about to be made and under which mark; it is
 * removed when the last step is done.  A step that fails is undone with all
 * before it, in reverse order.  A vmadm that is killed leaves the journal: the
 * next vmadm or vminfod finds it, sees by the lock that nobody works on it any
 * more, and undoes everything (vm_recover()).
 *
 * So every undo may run at any time: when its step was never begun, was half
 * done, or was undone before.  It looks at what is there.  Datasets carry the
 * mark of the create that made them in the property VM_MARK: what has another
 * mark is not destroyed; what has none only if nothing was ever written to it,
 * for a create first sees that its names are free, and then writes its journal.
 *
 * A delete is the same forwards: its steps may run again, and a journal makes
 * the next vmadm finish what was begun.  An update and a reprovisioning are undone
 * up to their last decisive write, and finished from there on: the journal then
 * has another action.
 *
 * Locks stand in /run: they end with the process that holds them and with the
 * node.  The journal stands in /var, on the pool.
 */
#ifndef VM_VM_JOB_H
#define VM_VM_JOB_H

#include "vm/vm.h"
#include "vm/vm_ops.h"

#define VM_JOURNAL_DIR "/var/vm/journal"
#define VM_LOCK_DIR "/run/vm"
#define VM_MARK "atoll:create"

struct vm_job {
	const char *action; /* one of vm_job.c's actions */
	struct json *vm;    /* owned */
	struct json *old;   /* update: the VM as it was; owned; else NULL */
	enum vm_brand brand;
	char *uuid;
	char *root;    /* dataset */
	char mark[UUID_LEN + 1];
	int lock;      /* this VM's; -1 */
	int metadata;  /* its metadata's; -1 */
	int hold;      /* image hold; -1 */
	struct image *image; /* of the root; NULL for HVM */
	/* `vmadm receive`: makes the datasets, instead of the image; NULL. */
	int (*receive)(struct vm_job *job, int fd, struct error *err);
	int stream;
};

#define VM_JOB_INIT {.lock = -1, .metadata = -1, .hold = -1}
void vm_job_done(struct vm_job *job);
#define cleanup_vm_job CLEANUP(vm_job_done)
/* Takes vm.  With a new mark. */
void vm_job_init(struct vm_job *job, const char *action, struct json *vm);

struct vm_step {
	const char *name;
	int (*run)(struct vm_job *job, struct error *err);
	int (*undo)(struct vm_job *job, struct error *err); /* NULL: nothing to undo */
};

/*
 * Runs steps[from..to).  A failure undoes steps[0..failed], also what an earlier
 * call ran, takes the journal away if that went well, and is returned.
 */
int vm_steps_run(struct vm_job *job, const struct vm_step *steps, size_t from, size_t to,
		 struct error *err);
/* Undoes all, last first; goes on over failures and returns the first. */
int vm_steps_undo(struct vm_job *job, const struct vm_step *steps, size_t n, struct error *err);

/*
 * Called before each step and at the end of each ("begin"/"end"), in tests: to be
 * killed there.
 */
extern void (*vm_step_hook)(const char *action, const char *step, const char *when);

int vm_journal_write(const struct vm_job *job, struct error *err);
int vm_journal_remove(const struct vm_job *job, struct error *err);

/* One VM, or "create" for the check of conflicts.  -EWOULDBLOCK if held and !wait. */
int vm_lock(const char *what, bool wait, int *ret_fd, struct error *err);
/* The VM's metadata, which its guest writes too. */
int vm_lock_metadata(const char *uuid, int *ret_fd, struct error *err);

/* Destroys a dataset that the job made (see above); absent or another's is success. */
int vm_destroy_marked(struct vm_job *job, const char *dataset, struct error *err);
/* Halts, unconfigures and deletes the zone as far as it is there. */
int vm_remove_zone(struct vm_job *job, struct error *err);
/* The volume of a disk that was made for this VM, or NULL: others' volumes and files stay. */
const char *vm_own_volume(const struct vm_job *job, const struct json *disk);

/* The volumes of job->vm's disks, made with the job's mark; and taken away again. */
int vm_create_disks(struct vm_job *job, struct error *err);
int vm_destroy_disks(struct vm_job *job, struct error *err);

/* vm is taken; its datasets are made by receive(), and it is not started. */
int vm_create_received(struct json *vm,
		       int (*receive)(struct vm_job *job, int fd, struct error *err), int fd,
		       char **ret_uuid, struct error *err);

/* The VM, its lock held: nobody deletes or changes it meanwhile. */
int vm_load_locked(const char *uuid, unsigned what, struct json **ret, int *ret_lock,
		   struct error *err);

/* Every journal action, and how what was interrupted is brought to an end (vm_job.c). */
extern const struct vm_step vm_update_steps[];
extern const size_t vm_update_steps_n;
extern const struct vm_step vm_updated_steps[];
extern const size_t vm_updated_steps_n;
extern const struct vm_step vm_reprovision_steps[];
extern const size_t vm_reprovision_steps_n;
extern const struct vm_step vm_reprovisioned_steps[];
extern const size_t vm_reprovisioned_steps_n;
extern const struct vm_step vm_create_steps[];
extern const size_t vm_create_steps_n;
extern const struct vm_step vm_delete_steps[];
extern const size_t vm_delete_steps_n;

/* NAME=VALUE of the properties a root is made with, the mark among them. */
void vm_root_props(const struct vm_job *job, struct strv *ret);
/* image_uuid of the VM, and of the disks in its array `disks`: names become UUIDs. */
int vm_resolve_images(struct json *vm, const char *disks, struct error *err);

/* config/ files (vm_files.c), each written atomically. */
int vm_write_files(const struct json *vm, struct error *err);

#endif
