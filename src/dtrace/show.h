/* How values look: symbols, stacks, bytes, default columns. */
#ifndef DTRACE_SHOW_H
#define DTRACE_SHOW_H

#include "dtrace/dt.h"
#include "dtrace/format.h"

/* "vmlinux`vfs_read+0x10", or "0xffff..."; the caller's. */
char *show_symbol(struct dt *dt, uint64_t addr, bool offset);
void show_stack(struct dt *dt, const uint64_t *pcs, size_t n);
void show_ustack(struct dt *dt, uint64_t pid, const uint64_t *pcs, size_t n);
/* rec: the process and the address; action: usym, uaddr, ufunc, umod. */
char *show_usym(struct dt *dt, enum action action, const uint64_t *rec);
/* Printable text with nothing but NULs behind it. */
bool is_text_bytes(const unsigned char *data, size_t n);
/* print.c */
void show_print(struct dt *dt, const struct act *a, const char *data);
void show_bytes(struct dt *dt, const unsigned char *data, size_t n);
int show_act(struct dt *dt, const struct act *a, const char *data, struct error *err);
int show_record(struct dt *dt, const char *data, struct error *err);
/* json_out.c: the same as one JSON object; done: a bit for each act */
int show_json_record(struct dt *dt, const char *data, uint64_t done, struct error *err);
struct json;
struct json *show_json_value(const struct value *v);
/* flow.c: "  -> read", and what the next is indented by; the caller's */
char *show_flow(struct dt *dt, const struct rec_head *h);
char *show_ksym(struct dt *dt, enum action action, uint64_t addr); /* sym, func, mod */
size_t show_room(const struct rec *rec); /* REC_FRAMES: addresses that there is room for */
/* Keys that are addresses: their text, the caller's (show_value() reads a pointer to it). */
bool show_by_name(const struct rec *rec);
char *show_key(struct dt *dt, const struct rec *rec, const char *data);
/* Reads what rec says from a record or key. */
struct value show_value(struct dt *dt, const struct rec *rec, const char *data);

#endif
