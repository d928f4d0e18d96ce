/*
 * The properties of a VM: one table row each, and what follows from the table:
 * validation of payloads, defaults, the mapping to the zone's XML, `vmadm get`,
 * help, and the manual's property table.
 *
 * Names, ranges and the places on disk are SmartOS's, so that payloads and
 * pools can be carried over.
 */
#ifndef VM_VM_PROPS_H
#define VM_VM_PROPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "base/str.h"

/* Brands are bits, so that a row can name several. */
enum vm_brand {
	VM_JOYENT = 1 << 0,
	VM_MINIMAL = 1 << 1, /* joyent-minimal */
	VM_BUILDER = 1 << 2,
	VM_LX = 1 << 3,
	VM_KVM = 1 << 4,
	VM_BHYVE = 1 << 5,
};
#define VM_OS (VM_JOYENT | VM_MINIMAL | VM_BUILDER | VM_LX)
#define VM_HVM (VM_KVM | VM_BHYVE)
#define VM_ANY (VM_OS | VM_HVM)

/* 0 for a name that is no brand. */
enum vm_brand vm_brand_parse(const char *name);
const char *vm_brand_name(enum vm_brand b);
/* What `vmadm list` prints as type: OS, LX, KVM, BHYV. */
const char *vm_brand_type(enum vm_brand b);

enum vm_type {
	VM_T_STRING,
	VM_T_BOOL,
	VM_T_INT,
	VM_T_UUID,
	VM_T_LIST,    /* of strings; "a,b" is taken as well */
	VM_T_FLAT,    /* object of strings, numbers and booleans */
	VM_T_OBJECTS, /* array of objects, whose members have rows of their own */
};

/* What may be done with a property. */
enum vm_action {
	VM_CREATE = 1 << 0, /* stands in a create payload */
	VM_UPDATE = 1 << 1, /* stands in an update payload */
	VM_ADD = 1 << 2,    /* member of an object that is being added */
	VM_CHANGE = 1 << 3, /* member of an object that is being changed */
	VM_RECEIVE = 1 << 4, /* only `vmadm receive` gives it */
	VM_LIVE = 1 << 5,    /* an update takes effect in a running VM */
	VM_STOPPED = 1 << 6, /* may change only while the VM is stopped */
};

/* Where a property is stored. */
enum vm_store {
	VM_S_NONE,    /* not: it is derived, or only directs the work */
	VM_S_ZONE,    /* attribute of <zone> */
	VM_S_ATTR,    /* <attr name= value=> */
	VM_S_RCTL,    /* <rctl name=>, action after a space: "zone.cpu-shares none" */
	VM_S_NET,     /* attribute of <network> */
	VM_S_NETATTR, /* <net-attr> of <network> */
	VM_S_DEV,     /* attribute of <device> */
	VM_S_DEVATTR, /* <net-attr> of <device> */
	VM_S_FS,      /* attribute of <filesystem>; "fsoption" its children */
	VM_S_ELEMENT, /* the elements themselves: network, device, filesystem */
	VM_S_METADATA, /* member of config/metadata.json */
	VM_S_TAGS,     /* config/tags.json */
	VM_S_ROUTES,   /* config/routes.json */
	VM_S_ZFS,      /* property of the dataset or volume */
};

enum vm_encoding {
	VM_E_PLAIN,
	VM_E_BASE64,
	VM_E_COMMA, /* a list, joined */
	VM_E_BYTES, /* MiB in JSON, bytes on disk */
};

struct vm_prop;
/* NULL if the value is good, else what it must be. */
typedef const char *vm_check_fn(const char *value);

struct vm_prop {
	const char *path; /* "alias", "nics.*.mac" */
	enum vm_type type;
	unsigned brands;
	unsigned actions;
	enum vm_store store;
	unsigned stored_for; /* brands; 0: all of `brands` */
	const char *key; /* in the store */
	enum vm_encoding encoding;
	const char *unit;    /* for people: "MiB", "GiB", "%", "s" */
	const char *initial; /* default as JSON; "=prop" copies; NULL none */
	int64_t min, max;    /* of an integer; items of a list, bytes of a string: max only */
	const char *choices; /* "a|b|c" */
	vm_check_fn *check;  /* of a string, or of each item of a list */
	bool pow2;           /* an integer must be a power of two */
	bool required;       /* at create, for `brands` */
	bool hidden;         /* deprecated or internal: accepted, not documented */
	const char *alias_of; /* deprecated spelling of another property */
	const char *doc;
};

extern const struct vm_prop vm_props[];
extern const size_t vm_props_n;

/* By path; array members as "nics.*.mac".  NULL if there is no such property. */
const struct vm_prop *vm_prop_find(const char *path);
/* The member `name` of the array or object property `array` ("nics", "mac"). */
const struct vm_prop *vm_prop_member(const char *array, const char *name);
const char *vm_type_name(enum vm_type t);
/* The member by which objects of the array are known: nics mac, disks path, ... */
const char *vm_array_key(const char *array);

/* What validation found wrong: each list holds property paths; `why` says more. */
struct vm_report {
	char *bad_brand;
	struct strv bad_values;
	struct strv bad_properties;
	struct strv missing_properties;
	struct strv why; /* one sentence each */
};

#define VM_REPORT_INIT {0}
void vm_report_done(struct vm_report *r);
#define cleanup_vm_report CLEANUP(vm_report_done)
bool vm_report_ok(const struct vm_report *r);
/* {"bad_values": [...], "bad_properties": [...], "missing_properties": [...], "messages": [...]} */
struct json *vm_report_json(const struct vm_report *r);
/* One line: "Invalid value(s) for: quota; ..." ; returns -EINVAL. */
int vm_report_error(const struct vm_report *r, struct error *err);

/*
 * Checks a payload against the table and brings it into one form: numbers and
 * booleans given as strings become such, "a,b" becomes a list, deprecated names
 * become today's, MACs get lower case and leading zeros, ip and netmask become
 * ips.  action is VM_CREATE, VM_RECEIVE or VM_UPDATE.  Wrong things are added
 * to r, and the payload then is in no particular form.
 */
void vm_payload_check(struct json *payload, enum vm_brand brand, enum vm_action action,
		      struct vm_report *r);

/* Fills in what a create payload leaves out. */
void vm_payload_defaults(struct json *payload, enum vm_brand brand);
/*
 * Makes the properties that depend on others follow them: `ram` of an OS VM is
 * its max_physical_memory, tmpfs and swap follow memory, and so on.  old is the
 * VM before an update, or NULL at create.
 */
void vm_payload_follow(struct json *payload, enum vm_brand brand, const struct json *old);
/* Rules between properties (one primary nic, one boot disk, slots, sizes, routes). */
void vm_payload_rules(const struct json *vm, enum vm_brand brand, struct vm_report *r);
/* Of a whole VM against the others: MAC, IP on the same tag and VLAN, VRID, vnc_port. */
int vm_check_conflicts(const struct json *vm, const struct json *others, struct error *err);

/* aa:bb:... with leading zeros and lower case; -EINVAL if it is no MAC address. */
int vm_mac_normalise(const char *mac, char ret[18]);
void vm_mac_random(char ret[18]);

/* "k=v" of a command line into an update payload; -EINVAL names the property. */
int vm_payload_set_arg(struct json *payload, const char *arg, struct error *err);


#endif
