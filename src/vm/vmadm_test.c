/* The command: output, exit status and messages, over fake datasets. */
#include "base/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "os/run.h"

#define A "0d21e0a6-53cb-4f3a-9c8d-6f8d6e3d0a01"
#define B "0d21e0a6-53cb-4f3a-9c8d-6f8d6e3d0a02"
#define IMAGE "11111111-2222-3333-4444-555555555555"

static char *out, *errors;

/* Runs the command with words (split at blanks) and input; its exit status. */
static int
vmadm(const char *words, const char *input)
{
	cleanup_strv struct strv argv = STRV_INIT;
	cleanup_free char *out_path = str_printf("%s/.out", test_tmpdir());
	cleanup_free char *err_path = str_printf("%s/.err", test_tmpdir());
	cleanup_free char *in_path = str_printf("%s/.in", test_tmpdir());
	int status;
	pid_t pid;

	strv_add(&argv, test_built("src/vm/vmadm-fake"));
	strv_words(&argv, words, " ");
	file_write_atomic(in_path, input ? input : "", input ? strlen(input) : 0, 0600, NULL);
	setenv("VM_FAKE_ROOT", test_tmpdir(), 1);
	pid = fork();
	if (pid == 0) {
		dup2(open(in_path, O_RDONLY), 0);
		dup2(open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0600), 1);
		dup2(open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
		execv(argv.v[0], argv.v);
		_exit(127);
	}
	require(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	free(out);
	free(errors);
	out = errors = NULL;
	file_read(out_path, 0, &out, NULL, NULL);
	file_read(err_path, 0, &errors, NULL, NULL);
	require(out && errors);
	return WEXITSTATUS(status);
}

static void
make(const char *uuid, const char *alias, int ram)
{
	cleanup_free char *payload =
		str_printf("{\"brand\":\"lx\",\"uuid\":\"%s\",\"alias\":\"%s\",\"ram\":%d,"
			   "\"kernel_version\":\"4.3\",\"image_uuid\":\"" IMAGE "\"}",
			   uuid, alias, ram);
	cleanup_free char *said = str_printf("Successfully created VM %s\n", uuid);

	check_int(vmadm("create", payload), ==, 0);
	check_str(errors, said);
	check_str(out, "");
}

TEST(list_and_lookup)
{
	make(A, "web", 512);
	make(B, "db", 256);
	check_int(vmadm("list", NULL), ==, 0);
	check_str(out, "UUID                                  TYPE  RAM      STATE             ALIAS\n"
		       B "  LX    256      running           db\n"
		       A "  LX    512      running           web\n");
	check_int(vmadm("list -H -o alias,ram -s -ram", NULL), ==, 0);
	check_has(out, "web");
	check(strstr(out, "web") < strstr(out, "db"));
	check_int(vmadm("list -p -o uuid,alias,hostname alias=web", NULL), ==, 0);
	check_str(out, A ":web:\n");
	check_int(vmadm("list -p -o alias alias=~^d", NULL), ==, 0);
	check_str(out, "db\n");
	check_int(vmadm("list -o colour", NULL), ==, 1);
	check_str(errors, "Invalid order key: \"colour\"\n");
	check_int(vmadm("list colour=red", NULL), ==, 1);
	check_int(vmadm("lookup alias=web -1", NULL), ==, 0);
	check_str(out, A "\n");
	check_int(vmadm("lookup -1 brand=lx", NULL), ==, 1);
	check_str(errors, "Requested unique lookup but found 2 results.\n");
	check_int(vmadm("lookup -o alias", NULL), ==, 1);
	check_str(errors, "Cannot specify -o without -j\n");
	check_int(vmadm("lookup -j -o alias,ram alias=db", NULL), ==, 0);
	check_str(out, "[\n  {\n    \"alias\": \"db\",\n    \"ram\": 256\n  }\n]\n");
}

TEST(get_update_delete)
{
	cleanup_json struct json *vm = NULL;
	cleanup_error struct error err = ERROR_INIT;

	make(A, "web", 512);
	check_int(vmadm("update " A " cpu_cap=200 ram=256", NULL), ==, 0);
	check_str(errors, "Successfully updated VM " A "\n");
	check_int(vmadm("update " A, "{\"set_tags\":{\"role\":\"db\"}}"), ==, 0);
	check_int(vmadm("get " A, NULL), ==, 0);
	check_ok(json_parse(out, (size_t)-1, &vm, &err), &err);
	check_int(json_int(json_get(vm, "cpu_cap"), 0), ==, 200);
	check_int(json_int(json_get(vm, "max_physical_memory"), 0), ==, 256);
	check_str(json_str(json_lookup(vm, "tags.role"), NULL), "db");
	check_int(vmadm("update " A " colour=red", NULL), ==, 1);
	check_has(errors, "Invalid property(s): colour");
	check_int(vmadm("update " A " cpu_cap", NULL), ==, 2);
	check_int(vmadm("delete " A, NULL), ==, 0);
	check_str(errors, "Successfully deleted VM " A "\n");
	check_int(vmadm("get " A, NULL), ==, 1);
	check_str(errors, "No such zone configured: " A "\n");
	check_int(vmadm("delete " A, NULL), ==, 1);
	check_has(errors, "Failed to delete VM " A ": No such zone");
}

TEST(life)
{
	make(A, "web", 512);
	check_int(vmadm("start " A, NULL), ==, 0); /* runs already: not an error */
	check_has(errors, "is already 'running'");
	check_int(vmadm("stop " A " -F", NULL), ==, 0);
	check_str(errors, "Successfully completed stop for VM " A "\n");
	check_int(vmadm("stop " A, NULL), ==, 0);
	check_has(errors, "is already 'stopped'");
	check_int(vmadm("start " A, NULL), ==, 0);
	check_str(errors, "Successfully started VM " A "\n");
	check_int(vmadm("reboot -F " A, NULL), ==, 0);
	check_str(errors, "Successfully completed reboot for VM " A "\n");
	check_int(vmadm("kill -9 " A, NULL), ==, 0);
	check_str(errors, "Successfully sent signal KILL to VM " A "\n");
	check_int(vmadm("kill -s SIGHUP " A, NULL), ==, 0);
	check_int(vmadm("kill -s NOPE " A, NULL), ==, 2);
	check_int(vmadm("create-snapshot " A " one", NULL), ==, 0);
	check_str(errors, "Created snapshot one for VM " A "\n");
	check_int(vmadm("rollback-snapshot " A " one", NULL), ==, 0);
	check_int(vmadm("delete-snapshot " A " one", NULL), ==, 0);
	check_int(vmadm("delete-snapshot " A, NULL), ==, 2);
}

TEST(validate)
{
	check_int(vmadm("validate create", "{\"brand\":\"lx\",\"kernel_version\":\"4.3\","
					   "\"image_uuid\":\"" IMAGE "\"}"), ==, 0);
	check_str(errors, "VALID 'create' payload for lx brand VMs.\n");
	check_int(vmadm("validate update kvm", "{\"vcpus\":2}"), ==, 0);
	check_str(errors, "VALID 'update' payload for kvm brand VMs.\n");
	check_int(vmadm("validate create", "{\"brand\":\"lx\",\"colour\":1}"), ==, 1);
	check_has(errors, "\"bad_properties\": [\n    \"colour\"\n  ]");
	check_has(errors, "\"missing_properties\": [\n    \"kernel_version\"");
	check_int(vmadm("validate create", "{"), ==, 1);
	check_has(errors, "Invalid JSON payload: ");
	check_int(vmadm("validate", "{}"), ==, 2);
	check_int(vmadm("validate update", "{}"), ==, 2);
	check_int(vmadm("validate update vax", "{}"), ==, 1);
}

TEST(usage)
{
	check_int(vmadm("", NULL), ==, 2);
	check_int(vmadm("frobnicate", NULL), ==, 2);
	check_int(vmadm("get", NULL), ==, 2);
	check_has(errors, "Invalid or missing UUID for get");
	check_int(vmadm("get nonsense", NULL), ==, 2);
	check_int(vmadm("list -Z", NULL), ==, 2);
	check_int(vmadm("create -f /nonexistent", NULL), ==, 1);
	check_str(errors, "File: /nonexistent does not exist.\n");
	check_int(vmadm("create", "[]"), ==, 1);
	check_has(errors, "it is not an object");
	check_int(vmadm("stop " A " -t x", NULL), ==, 2);
}
