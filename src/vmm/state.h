/*
 * The state of a machine, as it is written into a snapshot or sent to another
 * node, and read back.
 *
 * A device describes its state once, in one function that serves both ways:
 *
 *	static void
 *	rtc_state(void *arg, struct state *s)
 *	{
 *		struct rtc *r = arg;
 *
 *		STATE(s, r->index, r->offset);		// any scalars, arrays, or structs without bools
 *		state_require(s, r->index < 128, "index");
 *		if (state_loading(s))
 *			timers_update(r);		// make what follows from it
 *	}
 *
 * Saving copies the fields out, loading copies them in; names go along, so a
 * snapshot of another version is refused with the field it differs in.  The
 * machine is paused: no vcpu and no I/O thread runs, and nothing is in flight
 * in a back end.  What is loaded comes from a file or a peer: what is used as
 * an index, a length or an address is checked with state_require() first.
 *
 * After the first failure every call does nothing (and leaves the fields
 * alone): a function need not look until its end.
 *
 * A PCI class or virtio device without a state function refuses to be saved;
 * one that has nothing to say uses state_none() or virtio_state_none().
 */
#ifndef VMM_STATE_H
#define VMM_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

struct pci_dev;
struct vm;

struct state {
	bool loading;
	struct strbuf *out; /* saving */
	const uint8_t *in;  /* loading: what is left */
	size_t left;
	const char *section; /* for messages */
	bool moving;	     /* saving for another node, where the machine goes on at once */
	int result;	     /* of the first failure */
	struct error *err;
};

typedef void state_fn(void *arg, struct state *s);

static inline bool
state_loading(const struct state *s)
{
	return s->loading && s->result == 0;
}

/* Exactly len bytes at p. */
void state_field(struct state *s, const char *name, void *p, size_t len);
/* The same of truth values: what is neither 0 nor 1 is refused, for a bool with another value is no value. */
void state_bools(struct state *s, const char *name, void *p, size_t len);
#define STATE_ONE(s, lvalue)                                                               \
	_Generic((lvalue), bool: state_bools, bool *: state_bools, default: state_field)( \
		(s), #lvalue, &(lvalue), sizeof(lvalue));
/* The fields of a state, in the order in which they are written. */
#define STATE(s, ...) do { STATE_EACH(STATE_ONE, s, __VA_ARGS__) } while (0)
#define STATE_EACH(one, s, ...) STATE_EXPAND(STATE_NEXT(one, s, __VA_ARGS__))
#define STATE_NEXT(one, s, x, ...) \
	one(s, x) __VA_OPT__(STATE_AGAIN STATE_PARENS(one, s, __VA_ARGS__))
#define STATE_AGAIN() STATE_NEXT
#define STATE_PARENS ()
#define STATE_EXPAND(...) STATE_EXPAND4(STATE_EXPAND4(STATE_EXPAND4(STATE_EXPAND4(__VA_ARGS__))))
#define STATE_EXPAND4(...) STATE_EXPAND1(STATE_EXPAND1(STATE_EXPAND1(STATE_EXPAND1(__VA_ARGS__))))
#define STATE_EXPAND1(...) __VA_ARGS__
/*
 * Bytes whose number is part of the state.  Loading allocates *data anew (the
 * old one is freed), at most max bytes; NULL with length 0.
 */
void state_blob(struct state *s, const char *name, void **data, size_t *len, size_t max);
/* Refuses what was loaded ("rtc: index is out of range"); nothing while saving.  Gives ok. */
bool state_require(struct state *s, bool ok, const char *what);
/* Refuses to be saved or loaded at all. */
void state_refuse(struct state *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* struct pci_class's .state for a device that has none beyond what the core keeps. */
void state_none(struct pci_dev *d, struct state *s);

/*
 * The whole machine but its RAM: the chips KVM keeps, every vcpu, every part and
 * every PCI device.  The machine is paused.  Loading needs a machine of the
 * same configuration whose vcpus never ran.
 */
int state_save(struct vm *vm, struct strbuf *out, struct error *err);
/* The same for another node: what is this node's own refuses. */
int state_save_moving(struct vm *vm, struct strbuf *out, struct error *err);
int state_load(struct vm *vm, const void *data, size_t len, struct error *err);

#endif
