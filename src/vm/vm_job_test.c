/*
 * Creates, updates and deletes over fake datasets: what they leave, what failures
 * leave, and what is left when the process is killed at any step.
 */
#include "base/test.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/event.h"
#include "base/file.h"
#include "os/run.h"
#include "vm/vm_fake.h"
#include "vm/vm_job.h"

#define LX "0d21e0a6-53cb-4f3a-9c8d-6f8d6e3d0a01"
#define KVM "0d21e0a6-53cb-4f3a-9c8d-6f8d6e3d0a03"

static const char lx_payload[] =
	"{\"brand\":\"lx\",\"uuid\":\"" LX "\",\"kernel_version\":\"4.3.0\","
	"\"image_uuid\":\"" VM_FAKE_IMAGE "\",\"max_physical_memory\":512,\"alias\":\"web\","
	"\"delegate_dataset\":true,\"indestructible_zoneroot\":false,"
	"\"customer_metadata\":{\"k\":\"v\"},\"tags\":{\"role\":\"db\"},"
	"\"nics\":[{\"nic_tag\":\"admin\",\"ip\":\"10.0.0.5\",\"netmask\":\"255.255.255.0\","
	"\"mac\":\"02:08:20:01:02:03\"}]}";

static const char kvm_payload[] =
	"{\"brand\":\"kvm\",\"uuid\":\"" KVM "\",\"ram\":512,\"disks\":["
	"{\"image_uuid\":\"" VM_FAKE_ZVOL "\",\"size\":128},{\"size\":64,\"model\":\"virtio\"}],"
	"\"nics\":[{\"nic_tag\":\"admin\",\"ip\":\"dhcp\",\"mac\":\"02:08:20:01:02:04\"}]}";

static struct json *
parse(const char *text)
{
	struct json *j = NULL;
	cleanup_error struct error err = ERROR_INIT;

	check_ok(json_parse(text, (size_t)-1, &j, &err), &err);
	require(j);
	return j;
}

static int
create(const char *text, struct error *err)
{
	cleanup_json struct json *payload = parse(text);
	cleanup_free char *uuid = NULL;

	return vm_create(payload, &uuid, err);
}

TEST(create_get_delete)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *vm = NULL;
	cleanup_free char *before = NULL;
	cleanup_free char *after = NULL;
	cleanup_free char *quota = NULL;

	vm_fake_init(test_tmpdir());
	check_ok(create(lx_payload, &err), &err);
	check_ok(vm_delete(LX, &err), &err);
	before = vm_fake_state(); /* with the directories a first create makes */

	check_ok(create(lx_payload, &err), &err);
	check_ok(vm_load(LX, VM_LOAD_ALL, &vm, &err), &err);
	check_str(vm_state(vm), "running");
	check_str(json_str(json_get(vm, "alias"), NULL), "web");
	check_int(json_int(json_get(vm, "quota"), 0), ==, 10);
	check_str(json_str(json_lookup(vm, "customer_metadata.k"), NULL), "v");
	check_str(json_str(json_lookup(vm, "tags.role"), NULL), "db");
	check_str(json_str(json_lookup(vm, "nics[0].ips[0]"), NULL), "10.0.0.5/24");
	check_str(json_str(json_lookup(vm, "datasets[0]"), NULL), "zones/" LX "/data");
	quota = vm_fake_prop("zones/" LX, "quota");
	check_str(quota, "10G");
	check_int(create(lx_payload, &err), ==, -EEXIST);
	check_has(error_message(&err), "already exists");
	check_ok(vm_delete(LX, &err), &err);
	after = vm_fake_state();
	check_str(after, before);
	check_int(vm_delete(LX, &err), ==, -ENOENT);
	check_has(error_message(&err), "No such zone configured");
}

TEST(what_is_archived_on_delete)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *change = NULL;
	cleanup_json struct json *metadata = NULL;
	cleanup_free char *dir = NULL, *xml = NULL, *file = NULL;

	vm_fake_init(test_tmpdir());
	dir = str_printf("%s/zones/archive/" LX, test_tmpdir());
	xml = str_printf("%s/" LX ".xml", dir);
	file = str_printf("%s/metadata.json", dir);
	check_ok(create(lx_payload, &err), &err);
	check_ok(json_parse("{\"archive_on_delete\":true}", (size_t)-1, &change, &err), &err);
	check_ok(vm_update(LX, change, &err), &err);
	check_ok(vm_delete(LX, &err), &err);
	check(file_exists(xml));
	check_ok(json_read_file(file, &metadata, &err), &err);
	check_str(json_str(json_lookup(metadata, "customer_metadata.k"), NULL), "v");
}

TEST(kvm_disks_are_made_and_go)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *vm = NULL;
	cleanup_free char *size = NULL;

	vm_fake_init(test_tmpdir());
	check_ok(create(kvm_payload, &err), &err);
	check_int(vm_ops->zfs_exists("zones/" KVM "-disk0", NULL), ==, 1);
	check_int(vm_ops->zfs_exists("zones/" KVM "-disk1", NULL), ==, 1);
	size = vm_fake_prop("zones/" KVM "-disk0", "volsize"); /* grown over its image */
	check_str(size, "134217728");
	check_ok(vm_load(KVM, VM_LOAD_ALL, &vm, &err), &err);
	check_int(json_int(json_lookup(vm, "disks[1].size"), 0), ==, 64);
	check_str(json_str(json_lookup(vm, "disks[0].model"), NULL), "virtio");
	check(json_bool(json_get(vm, "autoboot"), false));
	check_ok(vm_delete(KVM, &err), &err);
	check_int(vm_ops->zfs_exists("zones/" KVM "-disk0", NULL), ==, 0);
	check_int(vm_ops->zfs_exists("zones/" KVM "-disk1", NULL), ==, 0);
}

/* Payloads that are right in themselves but not on this node: nothing may be left. */
TEST(what_the_node_refuses)
{
	static const struct {
		const char *members;
		const char *has;
	} rows[] = {
		{"\"image_uuid\":\"99999999-2222-3333-4444-555555555555\"", "is not installed"},
		{"\"image_uuid\":\"" VM_FAKE_ZVOL "\"", "is not for brand lx"},
		{"\"image_uuid\":\"nothing\"", "image nothing is not installed"},
		{"\"nics\":[{\"nic_tag\":\"nowhere\"}]", "Invalid nic tag \"nowhere\""},
		{"\"nics\":[{\"nic_tag\":\"admin\",\"mac\":\"02:08:20:01:02:03\"}]",
		 "is already in use by VM " LX},
		{"\"nics\":[{\"nic_tag\":\"admin\",\"ips\":[\"10.0.0.5/8\"]}]",
		 "IP address 10.0.0.5/8 is already in use by VM " LX},
		{"\"filesystems\":[{\"type\":\"lofs\",\"source\":\"/nowhere\",\"target\":\"/mnt\"}]",
		 "/nowhere does not exist"},
		{"\"uuid\":\"" LX "\"", "already exists"},
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *before = NULL;

	vm_fake_init(test_tmpdir());
	check_ok(create(lx_payload, &err), &err);
	before = vm_fake_state();
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *image =
			strstr(rows[i].members, "image_uuid")
				? xstrdup("")
				: xstrdup(",\"image_uuid\":\"" VM_FAKE_IMAGE "\"");
		cleanup_free char *text =
			str_printf("{\"brand\":\"lx\",\"kernel_version\":\"4.3\",%s%s}",
				   rows[i].members, image);
		cleanup_free char *after = NULL;

		check_int(create(text, &err), <, 0);
		check_has(error_message(&err), rows[i].has);
		after = vm_fake_state();
		check_str(after, before);
	}
}

/* Every call into the domains below fails once: the create fails, and nothing is left. */
static void
fail_everywhere(const char *payload, const char *uuid)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *before = NULL;
	int n;

	vm_fake_init(test_tmpdir());
	check_ok(create(payload, &err), &err);
	check_ok(vm_delete(uuid, &err), &err);
	before = vm_fake_state();
	vm_fake_fail_at(0);
	check_ok(create(payload, &err), &err);
	n = vm_fake_calls();
	check_ok(vm_delete(uuid, &err), &err);
	require(n >= 3);
	for (int i = 1; i <= n; i++) {
		cleanup_free char *after = NULL;

		vm_fake_fail_at(i);
		check_int(create(payload, &err), ==, -EIO);
		check_has(error_message(&err), "failed as the test asked");
		vm_fake_fail_at(0);
		after = vm_fake_state();
		check_str(after, before);
	}
}

TEST(a_failed_lx_create_leaves_nothing)
{
	fail_everywhere(lx_payload, LX);
}

TEST(a_failed_kvm_create_leaves_nothing)
{
	fail_everywhere(kvm_payload, KVM);
}

/* ---- killed --------------------------------------------------------------------------- */

static int hooks, kill_at;

static void
kill_here(const char *action, const char *step, const char *when)
{
	if (++hooks == kill_at)
		raise(SIGKILL);
}

/* Runs fn in a child that is killed at the n-th hook; true if it was. */
static bool
run_killed(void (*fn)(void), int n)
{
	pid_t pid;
	int status;

	hooks = 0;
	kill_at = n;
	vm_step_hook = kill_here;
	pid = fork();
	if (pid == 0) {
		fn();
		_exit(0);
	}
	require(pid > 0);
	require(waitpid(pid, &status, 0) == pid);
	vm_step_hook = NULL;
	return WIFSIGNALED(status);
}

static const char *killed_payload;
static const char *killed_uuid;

static void
do_create(void)
{
	create(killed_payload, NULL);
}

static void
do_delete(void)
{
	vm_delete(killed_uuid, NULL);
}

static void
kill_everywhere(const char *payload, const char *uuid)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *before = NULL;
	int n;

	vm_fake_init(test_tmpdir());
	killed_payload = payload;
	killed_uuid = uuid;
	check_ok(create(payload, &err), &err);
	check_ok(vm_delete(uuid, &err), &err);
	before = vm_fake_state();
	for (n = 1; run_killed(do_create, n); n++) {
		cleanup_strv struct strv done = STRV_INIT;
		cleanup_free char *after = NULL;

		check_ok(vm_recover(&done, &err), &err);
		check_int(done.n, ==, 1);
		check_has(done.n ? done.v[0] : "", "creation was interrupted");
		after = vm_fake_state();
		check_str(after, before);
	}
	check_int(n, >, (int)vm_create_steps_n * 2 - 1); /* every step was hit, at both ends */
	/* The last round was not killed: the VM is there, and stays. */
	check_ok(vm_recover(NULL, &err), &err);
	{
		cleanup_json struct json *vm = NULL;

		check_ok(vm_load(uuid, VM_LOAD_ALL, &vm, &err), &err);
	}
	for (n = 1; run_killed(do_delete, n); n++) {
		cleanup_free char *after = NULL;

		check_ok(vm_recover(NULL, &err), &err);
		after = vm_fake_state();
		check_str(after, before);
		check_ok(create(payload, &err), &err);
	}
	check_int(n, >, (int)vm_delete_steps_n);
}

TEST(an_lx_create_or_delete_may_be_killed_anywhere)
{
	kill_everywhere(lx_payload, LX);
}

TEST(a_kvm_create_or_delete_may_be_killed_anywhere)
{
	kill_everywhere(kvm_payload, KVM);
}

static const char *killed_change;

static void
do_update(void)
{
	cleanup_json struct json *payload = parse(killed_change);
	cleanup_error struct error err = ERROR_INIT;

	check_ok(vm_update(killed_uuid, payload, &err), &err);
}

/* All that there is of the VM, but what is new each time it is made. */
static char *
whole(const char *uuid)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *vm = NULL;
	cleanup_free char *state = vm_fake_state(), *text = NULL;

	check_ok(vm_load(uuid, VM_LOAD_ALL, &vm, &err), &err);
	json_remove(vm, "last_modified");
	json_remove(vm, "create_timestamp");
	for (size_t i = 0; i < json_len(json_get(vm, "disks")); i++)
		json_remove(json_at(json_get(vm, "disks"), i), "uuid");
	text = json_print(vm, true);
	return str_printf("%s\n%s", state, text);
}

struct killed_update {
	const char *create, *uuid;
	bool running;
	const char *change;
};

static char *
start_again(const struct killed_update *u)
{
	cleanup_error struct error err = ERROR_INIT;

	vm_delete(u->uuid, NULL);
	check_ok(create(u->create, &err), &err);
	if (!u->running)
		check_ok(vm_stop(u->uuid, true, 0, &err), &err);
	return whole(u->uuid);
}

/* Wherever it is killed: what the next vmadm makes of it is the VM as it was, or as it is to be. */
TEST(an_update_may_be_killed_anywhere)
{
	static const struct killed_update rows[] = {
		{lx_payload, LX, true,
		 "{\"quota\":20,\"alias\":\"new\",\"cpu_cap\":50,"
		 "\"zfs_root_compression\":\"lz4\",\"set_tags\":{\"role\":\"web\"}}"},
		{kvm_payload, KVM, false,
		 "{\"alias\":\"new\",\"add_disks\":[{\"size\":32,\"model\":\"virtio\"}],"
		 "\"update_disks\":[{\"path\":\"/dev/zvol/rdsk/zones/" KVM "-disk0\",\"size\":256}]}"},
		{kvm_payload, KVM, false, "{\"remove_disks\":[\"/dev/zvol/rdsk/zones/" KVM "-disk1\"]}"},
	};
	cleanup_error struct error err = ERROR_INIT;

	vm_fake_init(test_tmpdir());
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_free char *first = start_again(&rows[i]), *final = NULL;
		int n, back = 0;

		killed_uuid = rows[i].uuid;
		killed_change = rows[i].change;
		free(first);
		first = start_again(&rows[i]); /* with the directories a first delete makes */
		do_update();
		final = whole(killed_uuid);
		check(strcmp(first, final) != 0);
		for (n = 1;; n++) {
			cleanup_free char *before = start_again(&rows[i]), *after = NULL;

			check_str(before, first);
			if (!run_killed(do_update, n))
				break;
			check_ok(vm_recover(NULL, &err), &err);
			after = whole(killed_uuid);
			back += str_eq(after, before);
			check_str(after, n <= (int)vm_update_steps_n * 2 ? before : final);
		}
		check_int(n, ==, (int)(vm_update_steps_n + vm_updated_steps_n) * 2 + 1);
		check_int(back, ==, (int)vm_update_steps_n * 2);
	}
}

static void
do_reprovision(void)
{
	cleanup_json struct json *payload = parse("{\"image_uuid\":\"fake-lx\"}");

	vm_reprovision(LX, payload, NULL);
}

/* Whatever is killed where: there is one root, with the zone's data below, and the VM. */
TEST(a_reprovision_may_be_killed_anywhere)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *before = NULL;
	cleanup_free char *first = NULL;
	cleanup_free char *last = NULL;
	cleanup_free char *final = NULL;
	int n;

	vm_fake_init(test_tmpdir());
	check_ok(create(lx_payload, &err), &err);
	check_ok(vm_stop(LX, true, 0, &err), &err);
	before = vm_fake_state();
	first = vm_fake_prop("zones/" LX, VM_MARK);
	for (n = 1; run_killed(do_reprovision, n); n++) {
		cleanup_strv struct strv done = STRV_INIT;
		cleanup_json struct json *vm = NULL;
		cleanup_free char *after = NULL;

		check_ok(vm_recover(&done, &err), &err);
		check_int(done.n, ==, 1);
		check_int(vm_ops->zfs_exists("zones/" LX, NULL), ==, 1);
		check_int(vm_ops->zfs_exists("zones/" LX "/data", NULL), ==, 1);
		check_int(vm_ops->zfs_exists("zones/" LX "-old", NULL), ==, 0);
		check_ok(vm_load(LX, VM_LOAD_ALL, &vm, &err), &err);
		check_str(vm_state(vm), "stopped");
		check_str(json_str(json_lookup(vm, "customer_metadata.k"), NULL), "v");
		after = vm_fake_state();
		check_str(after, before);
	}
	check_int(n, >, (int)vm_reprovision_steps_n * 2);
	last = vm_fake_prop("zones/" LX, VM_MARK);
	check(!str_eq(first, last)); /* it did get a new root */
	final = vm_fake_state();
	check_str(final, before);
}

TEST(others_datasets_are_not_destroyed)
{
	cleanup_error struct error err = ERROR_INIT;

	vm_fake_init(test_tmpdir());
	/* A dataset of that name without our mark: the create refuses it and leaves it. */
	check_ok(vm_ops->zfs_create("zones/" LX, NULL, 0, &err), &err);
	check_int(create(lx_payload, &err), ==, -EEXIST);
	check_int(vm_ops->zfs_exists("zones/" LX, NULL), ==, 1);
	check_ok(vm_recover(NULL, &err), &err);
	check_int(vm_ops->zfs_exists("zones/" LX, NULL), ==, 1);
}

/* The power went after the dataset was made and before it got its properties. */
TEST(a_dataset_without_its_mark_is_ours_while_it_is_empty)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_vm_job struct vm_job job = VM_JOB_INIT;

	vm_fake_init(test_tmpdir());
	vm_job_init(&job, "create", parse("{\"uuid\":\"" LX "\",\"brand\":\"lx\"}"));
	check_ok(vm_journal_write(&job, &err), &err);
	check_ok(vm_ops->zfs_create("zones/" LX, ZFS_PROPS("written=0"), 0, &err), &err);
	check_ok(vm_recover(NULL, &err), &err);
	check_int(vm_ops->zfs_exists("zones/" LX, NULL), ==, 0);

	check_ok(vm_journal_write(&job, &err), &err);
	check_ok(vm_ops->zfs_create("zones/" LX, ZFS_PROPS("written=98304"), 0, &err), &err);
	check_ok(vm_recover(NULL, &err), &err);
	check_int(vm_ops->zfs_exists("zones/" LX, NULL), ==, 1);
}

TEST(a_create_under_way_is_left_alone)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_vm_job struct vm_job job = VM_JOB_INIT;
	cleanup_strv struct strv done = STRV_INIT;
	cleanup_free char *journal = NULL;

	vm_fake_init(test_tmpdir());
	vm_job_init(&job, "create", parse("{\"uuid\":\"" LX "\",\"brand\":\"lx\"}"));
	check_ok(vm_lock(LX, true, &job.lock, &err), &err);
	check_ok(vm_journal_write(&job, &err), &err);
	check_ok(vm_recover(&done, &err), &err);
	check_int(done.n, ==, 0);
	journal = str_printf("%s" VM_JOURNAL_DIR "/" LX ".json", zone_root());
	check(file_exists(journal));
}

/* vmadm is killed while a program it started still works: that is waited for. */
TEST(an_orphan_is_waited_for)
{
	cleanup_error struct error err = ERROR_INIT;
	cleanup_strv struct strv done = STRV_INIT;
	cleanup_free char *ended = str_printf("%s/ended", test_tmpdir());
	pid_t pid;

	vm_fake_init(test_tmpdir());
	pid = fork();
	if (pid == 0) {
		struct vm_job job;
		struct run_child child;

		vm_job_init(&job, "create", parse("{\"uuid\":\"" LX "\",\"brand\":\"lx\"}"));
		vm_lock(LX, true, &job.lock, NULL);
		vm_journal_write(&job, NULL);
		run_set_lease(job.lock);
		run_start((const char *const[]){"sh", "-c", "sleep 1; : >\"$0\"", ended, NULL},
			  &(struct run_opts){0}, &child, NULL);
		_exit(0);
	}
	require(waitpid(pid, NULL, 0) == pid);
	check_ok(vm_recover(&done, &err), &err);
	check_int(done.n, ==, 1);
	check(file_exists(ended));
}

TEST(bad_journals_are_reported_and_harm_nothing)
{
	static const char *const texts[] = {
		"", "{", "[]", "{\"action\":\"create\"}",
		"{\"action\":\"create\",\"mark\":\"x\",\"vm\":{\"uuid\":\"" LX "\"}}",
		"{\"action\":\"destroy\",\"mark\":\"" LX "\",\"vm\":{\"uuid\":\"" LX "\"}}",
		"{\"action\":\"delete\",\"mark\":\"" LX "\",\"vm\":{\"uuid\":\"" KVM "\"}}",
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_free char *dir = NULL;
	cleanup_free char *path = NULL;

	vm_fake_init(test_tmpdir());
	check_ok(create(lx_payload, &err), &err);
	dir = str_printf("%s" VM_JOURNAL_DIR, zone_root());
	path = str_printf("%s/" LX ".json", dir);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cleanup_json struct json *vm = NULL;

		check_ok(file_write_atomic(path, texts[i], strlen(texts[i]), 0600, &err), &err);
		check_int(vm_recover(NULL, &err), <, 0);
		check_ok(vm_load(LX, 0, &vm, &err), &err);
	}
}

/* ---- update --------------------------------------------------------------------------- */

static int
update(const char *uuid, const char *text, struct error *err)
{
	cleanup_json struct json *payload = parse(text);

	return vm_update(uuid, payload, err);
}

TEST(updates)
{
	static const struct {
		const char *payload, *field, *want;
	} rows[] = {
		{"{\"cpu_cap\":200}", "cpu_cap", "200"},
		{"{\"cpu_cap\":0}", "cpu_cap", NULL},
		{"{\"alias\":\"new\"}", "alias", "new"},
		{"{\"alias\":\"\"}", "alias", NULL},
		{"{\"max_physical_memory\":\"1024\"}", "tmpfs", "1024"},
		{"{\"ram\":256}", "max_physical_memory", "256"},
		{"{\"quota\":20}", "quota", "20"},
		{"{\"zfs_root_compression\":\"lz4\"}", "zfs_root_compression", "lz4"},
		{"{\"set_tags\":{\"a\":1,\"b\":true}}", "tags.a", "1"},
		{"{\"remove_tags\":[\"a\"]}", "tags.a", NULL},
		{"{\"set_customer_metadata\":{\"user-script\":\"#!/bin/sh\\n\"}}",
		 "customer_metadata.user-script", "#!/bin/sh\n"},
		{"{\"remove_customer_metadata\":[\"k\"]}", "customer_metadata.k", NULL},
		{"{\"set_routes\":{\"10.9.0.0/16\":\"10.0.0.1\"}}", "routes.10.9.0.0/16",
		 "10.0.0.1"},
		{"{\"add_nics\":[{\"nic_tag\":\"external\",\"mac\":\"02:08:20:01:02:09\","
		 "\"ip\":\"dhcp\"}]}", "nics.1.interface", "eth1"},
		{"{\"update_nics\":[{\"mac\":\"2:8:20:1:2:9\",\"vlan_id\":5,\"primary\":true}]}",
		 "nics.1.vlan_id", "5"},
		{"{\"update_nics\":[{\"mac\":\"2:8:20:1:2:9\",\"ip\":\"10.2.0.9\","
		 "\"netmask\":\"255.255.0.0\"}]}", "nics.1.ips.0", "10.2.0.9/16"},
		{"{\"alias\":\"still\"}", "nics.0.primary", NULL},
		{"{\"remove_nics\":[\"2:8:20:1:2:9\"]}", "nics.1", NULL},
		{"{\"alias\":\"again\"}", "nics.0.primary", "true"},
		{"{\"indestructible_zoneroot\":true}", "quota", "20"},
		{"{\"resolvers\":\"9.9.9.9\"}", "resolvers.0", "9.9.9.9"},
		{"{\"autoboot\":false}", "autoboot", "false"},
	};
	cleanup_error struct error err = ERROR_INIT;

	vm_fake_init(test_tmpdir());
	check_ok(create(lx_payload, &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json *vm = NULL;
		cleanup_free char *text = NULL;

		check_ok(update(LX, rows[i].payload, &err), &err);
		check_ok(vm_load(LX, VM_LOAD_ALL, &vm, &err), &err);
		text = vm_field_text(vm, rows[i].field);
		if (!str_eq(text, rows[i].want))
			test_fail(__FILE__, __LINE__, "%s: %s is %s", rows[i].payload, rows[i].field,
				  text ? text : "absent");
	}
}

TEST(refused_updates_change_nothing)
{
	static const struct {
		const char *payload, *has;
	} rows[] = {
		{"{\"colour\":1}", "colour: unknown property"},
		{"{\"quota\":\"x\"}", "is not an integer"},
		{"{\"remove_nics\":[\"02:00:00:00:00:99\"]}",
		 "remove_nics: there is none with mac 02:00:00:00:00:99"},
		{"{\"update_nics\":[{\"mac\":\"02:00:00:00:00:99\",\"vlan_id\":1}]}",
		 "update_nics: there is none with mac"},
		{"{\"add_nics\":[{\"nic_tag\":\"nowhere\"}]}", "Invalid nic tag"},
		{"{\"add_nics\":[{\"nic_tag\":\"admin\",\"mac\":\"02:08:20:01:02:03\"}]}",
		 "is that of nics[0] too"},
		{"{\"max_swap\":256}", "is less than max_physical_memory"},
		{"{\"set_routes\":{\"x\":\"y\"}}", "Invalid route destination"},
	};
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *before = NULL;

	vm_fake_init(test_tmpdir());
	check_ok(create(lx_payload, &err), &err);
	check_ok(vm_load(LX, VM_LOAD_ALL, &before, &err), &err);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json *after = NULL;

		check_int(update(LX, rows[i].payload, &err), <, 0);
		check_has(error_message(&err), rows[i].has);
		check_ok(vm_load(LX, VM_LOAD_ALL, &after, &err), &err);
		check(json_equal(before, after));
	}
}

TEST(a_failed_update_is_put_back)
{
	static const char payload[] =
		"{\"quota\":20,\"alias\":\"new\",\"zfs_root_compression\":\"lz4\","
		"\"set_tags\":{\"x\":\"y\"},\"cpu_cap\":100}";
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *before = NULL;

	vm_fake_init(test_tmpdir());
	check_ok(create(lx_payload, &err), &err);
	check_ok(vm_stop(LX, true, 0, &err), &err);
	check_ok(vm_load(LX, VM_LOAD_ALL, &before, &err), &err);
	for (int i = 1; i <= 2; i++) {
		cleanup_json struct json *after = NULL;

		vm_fake_fail_at(i);
		check_int(update(LX, payload, &err), ==, -EIO);
		vm_fake_fail_at(0);
		check_ok(vm_load(LX, VM_LOAD_ALL, &after, &err), &err);
		check_int(json_int(json_get(after, "quota"), 0), ==, 10);
		check_str(json_str(json_get(after, "alias"), NULL), "web");
		check(!json_lookup(after, "tags.x"));
	}
}

TEST(disks_change_only_while_stopped)
{
	cleanup_error struct error err = ERROR_INIT;
	static const char add[] = "{\"add_disks\":[{\"size\":32,\"model\":\"virtio\"}]}";
	static const char grow[] = "{\"update_disks\":[{\"path\":\"/dev/zvol/rdsk/zones/" KVM
				   "-disk1\",\"size\":256}]}";
	static const char shrink[] = "{\"update_disks\":[{\"path\":\"/dev/zvol/rdsk/zones/" KVM
				     "-disk1\",\"size\":16}]}";
	static const char take[] = "{\"remove_disks\":[\"/dev/zvol/rdsk/zones/" KVM "-disk2\"]}";
	cleanup_free char *size = NULL;

	vm_fake_init(test_tmpdir());
	check_ok(create(kvm_payload, &err), &err);
	check_int(update(KVM, add, &err), ==, -EBUSY);
	check_has(error_message(&err), "while it is 'running'");
	check_ok(vm_stop(KVM, true, 0, &err), &err);
	check_ok(update(KVM, add, &err), &err);
	check_int(vm_ops->zfs_exists("zones/" KVM "-disk2", NULL), ==, 1);
	check_ok(update(KVM, grow, &err), &err);
	size = vm_fake_prop("zones/" KVM "-disk1", "volsize");
	check_str(size, "268435456");
	check_int(update(KVM, shrink, &err), ==, -EINVAL);
	check_has(error_message(&err), "dangerous_allow_shrink");
	check_ok(update(KVM, take, &err), &err);
	check_int(vm_ops->zfs_exists("zones/" KVM "-disk2", NULL), ==, 0);
}

TEST(life)
{
	cleanup_error struct error err = ERROR_INIT;
	struct vm_start_opts opts = {.boot_order = "xy"};

	vm_fake_init(test_tmpdir());
	check_ok(create(lx_payload, &err), &err);
	check_int(vm_start(LX, NULL, &err), ==, -EALREADY);
	check_has(error_message(&err), "is already 'running'");
	check_ok(vm_reboot(LX, false, &err), &err);
	check_ok(vm_reboot(LX, true, &err), &err);
	for (int i = 1; i <= 2; i++) { /* wherever it ends: it is not left off */
		cleanup_json struct json *vm = NULL;

		vm_fake_fail_at(i);
		vm_reboot(LX, true, NULL);
		vm_fake_fail_at(0);
		check_ok(vm_load(LX, 0, &vm, &err), &err);
		check_str(vm_state(vm), "running");
	}
	check_ok(vm_kill(LX, SIGUSR1, &err), &err);
	check_ok(vm_stop(LX, false, 5, &err), &err);
	check_int(vm_stop(LX, true, 0, &err), ==, -EALREADY);
	check_int(vm_reboot(LX, false, &err), ==, -ESRCH);
	check_int(vm_kill(LX, SIGTERM, &err), ==, -ESRCH);
	check_int(vm_start(LX, &opts, &err), ==, -EINVAL);
	opts.boot_order = "cd";
	check_int(vm_start(LX, &opts, &err), ==, -EINVAL);
	check_has(error_message(&err), "for virtual machines only");
	check_ok(vm_start(LX, NULL, &err), &err);
	check_int(vm_start("not-a-uuid", NULL, &err), ==, -EINVAL);
}

TEST(snapshots)
{
	static const char plain[] =
		"{\"brand\":\"lx\",\"uuid\":\"" LX "\",\"kernel_version\":\"4.3.0\","
		"\"image_uuid\":\"fake-lx\"}";
	cleanup_error struct error err = ERROR_INIT;
	cleanup_json struct json *vm = NULL;

	vm_fake_init(test_tmpdir());
	check_ok(create(plain, &err), &err); /* of an image by its name */
	check_ok(create(kvm_payload, &err), &err);
	check_ok(vm_snapshot_create(LX, "before", &err), &err);
	check_int(vm_snapshot_create(LX, "before", &err), ==, -EEXIST);
	check_int(vm_snapshot_create(LX, "a b", &err), ==, -EINVAL);
	check_int(vm_snapshot_create(LX, "x@y", &err), ==, -EINVAL);
	check_int(vm_snapshot_create(KVM, "x", &err), ==, -ENOTSUP);
	check_ok(vm_load(LX, VM_LOAD_ZFS, &vm, &err), &err);
	check_str(json_str(json_lookup(vm, "snapshots[0].name"), NULL), "before");
	check_ok(vm_snapshot_rollback(LX, "before", &err), &err);
	check_int(vm_snapshot_rollback(LX, "other", &err), ==, -ENOENT);
	check_ok(vm_snapshot_delete(LX, "before", &err), &err);
	check_int(vm_snapshot_delete(LX, "before", &err), ==, -ENOENT);
	check_has(error_message(&err), "No snapshot named 'before'");
}
