/* The NoCloud disk, read back as cloud-init would. */
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "zone/brand/nocloud.h"

#define UUID "b4c7e1a2-3d5f-4e8a-9b0c-1d2e3f4a5b6c"
#define NASTY "\"}\n- x: \\ \t\x01\xc3\xa4: {"

/* A VM whose directory is `dir`, with two NICs. */
static struct zone_config *
vm(const char *dir)
{
	struct zone_config *c = NULL;
	struct zone_res *net;

	require(zone_config_new(UUID, "bhyve", dir, &c, NULL) == 0);
	zone_config_set(c, "uuid", UUID);
	zone_config_set_attr(c, "resolvers", "string", "8.8.8.8,2001:4860::8");
	net = zone_res_add(c, "net");
	zone_res_set(net, "physical", "net0");
	zone_res_set(net, "mac-addr", "2:8:20:ac:e1:0");
	zone_res_set_attr(net, "ips", "dhcp,addrconf");
	zone_res_set_attr(net, "gateway", "172.16.0.1");
	net = zone_res_add(c, "net");
	zone_res_set(net, "physical", "net1");
	zone_res_set(net, "mac-addr", "02:08:20:ac:e1:01");
	zone_res_set_attr(net, "ip", "10.0.0.5");
	zone_res_set_attr(net, "netmask", "255.255.240.0");
	zone_res_set_attr(net, "gateways", "10.0.0.1,fd00::1,10.0.0.2");
	zone_res_set_attr(net, "primary", "true");
	zone_res_set_attr(net, "mtu", "1400");
	return c;
}

static struct json *
parse(const char *text)
{
	struct json *j = NULL;

	require(text && json_parse(text, (size_t)-1, &j, NULL) == 0);
	return j;
}

static const char *
text_at(const struct json *j, const char *path)
{
	return json_str(json_lookup(j, path), NULL);
}

static void
write_in(const char *dir, const char *name, const char *text)
{
	cleanup_free char *path = str_printf("%s/config/%s", dir, name);

	cleanup_error struct error err = ERROR_INIT;

	check_ok(file_write_atomic(path, text, strlen(text), 0600, &err), &err);
}

static char *
new_dir(void)
{
	char *dir = xstrdup("/tmp/nocloud-test.XXXXXX");
	cleanup_free char *config = NULL;

	require(mkdtemp(dir));
	config = str_printf("%s/config", dir);
	require(mkdir(config, 0700) == 0);
	return dir;
}

static void
remove_dir(char **dir)
{
	file_remove_tree(*dir, NULL);
	free(*dir);
}

static void
files_done(struct nocloud_file *f)
{
	for (size_t i = 0; i < NOCLOUD_FILES; i++)
		free(f[i].text);
}

TEST(only_who_asks_has_one)
{
	CLEANUP(remove_dir) char *dir = new_dir();
	cleanup_zone_config struct zone_config *c = vm(dir);
	struct json *metadata = NULL;

	check_ok(nocloud_metadata(c, &metadata, NULL), NULL);
	check(!nocloud_wanted(metadata));
	json_free(metadata);
	write_in(dir, "metadata.json", "{\"customer_metadata\":{\"" NOCLOUD_KEY "\":\"smartos\"}}");
	check_ok(nocloud_metadata(c, &metadata, NULL), NULL);
	check(!nocloud_wanted(metadata));
	json_free(metadata);
	write_in(dir, "metadata.json", "{\"customer_metadata\":{\"" NOCLOUD_KEY "\":\"nocloud\"}}");
	check_ok(nocloud_metadata(c, &metadata, NULL), NULL);
	check(nocloud_wanted(metadata));
	json_free(metadata);
	write_in(dir, "metadata.json", "{");
	check(nocloud_metadata(c, &metadata, NULL) < 0);
}

TEST(the_network_is_that_of_the_nics)
{
	CLEANUP(remove_dir) char *dir = new_dir();
	cleanup_zone_config struct zone_config *c = vm(dir);
	cleanup_json struct json *none = json_new_object(), *net = NULL;
	struct nocloud_file f[NOCLOUD_FILES];

	write_in(dir, "routes.json", "{\"10.9.0.0/16\":\"10.0.0.9\",\"10.8.0.0/16\":\"nics[0]\"}");
	require(nocloud_files(c, none, f, NULL) == 0);
	net = parse(f[3].text);
	check_int(json_int(json_get(net, "version"), 0), ==, 2);
	check_str(text_at(net, "ethernets.net0.match.macaddress"), "02:08:20:ac:e1:00");
	check_str(text_at(net, "ethernets.net0.set-name"), "net0");
	check(json_bool(json_lookup(net, "ethernets.net0.dhcp4"), false));
	check(json_bool(json_lookup(net, "ethernets.net0.dhcp6"), false));
	/* one default route, by the primary one */
	check_str(text_at(net, "ethernets.net0.gateway4"), NULL);
	check_str(text_at(net, "ethernets.net1.gateway4"), "10.0.0.1");
	check_str(text_at(net, "ethernets.net1.gateway6"), "fd00::1");
	check_str(text_at(net, "ethernets.net1.addresses[0]"), "10.0.0.5/20");
	check_int(json_int(json_lookup(net, "ethernets.net1.mtu"), 0), ==, 1400);
	check_str(text_at(net, "ethernets.net1.nameservers.addresses[1]"), "2001:4860::8");
	check_int(json_len(json_lookup(net, "ethernets.net1.routes")), ==, 1);
	check_str(text_at(net, "ethernets.net1.routes[0].via"), "10.0.0.9");
	files_done(f);
}

TEST(a_customer_cannot_leave_his_strings)
{
	cleanup_zone_config struct zone_config *c = vm("/nowhere");
	cleanup_json struct json *metadata = json_new_object(), *meta = NULL, *own = NULL;
	struct nocloud_file f[NOCLOUD_FILES];

	own = json_new_object();
	json_set_str(own, "root_authorized_keys", "ssh-ed25519 " NASTY "\nssh-rsa b\n");
	json_set_str(own, "cloud-init:network-config", "version: 1\n");
	json_set_str(own, "cloud-init:vendor-data", "not his to say");
	json_set(metadata, "customer_metadata", steal_ptr(&own));
	zone_config_set_attr(c, "alias", "string", "Ijogew=="); /* ": { */
	require(nocloud_files(c, metadata, f, NULL) == 0);
	meta = parse(f[0].text);
	check_str(text_at(meta, "instance-id"), UUID);
	check_str(text_at(meta, "local-hostname"), "\": {");
	check_int(json_len(json_get(meta, "public-keys")), ==, 3);
	check_str(text_at(meta, "public-keys[0]"), "ssh-ed25519 \"}");
	check_str(f[1].text, "#cloud-config\n{}\n");
	check_str(f[2].text, NULL);
	check_str(f[3].text, "version: 1\n");
	files_done(f);
}

/* Name and text of every file there is, as one text. */
static char *
list(int fd, char label[32])
{
	cleanup_strbuf struct strbuf b = STRBUF_INIT;
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	char buf[4096];
	ssize_t n;

	/* the primary volume descriptor, at sector 16 */
	require(pread(fd, label, 32, 16 * 2048 + 40) == 32);
	require(lseek(fd, 0, SEEK_SET) == 0);
	archive_read_support_format_iso9660(a);
	require(archive_read_open_fd(a, fd, 2048) == ARCHIVE_OK);
	while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
		if (archive_entry_filetype(e) != AE_IFREG)
			continue;
		strbuf_addf(&b, "%s=", archive_entry_pathname(e));
		while ((n = archive_read_data(a, buf, sizeof(buf))) > 0)
			strbuf_add(&b, buf, (size_t)n);
		strbuf_addc(&b, '\n');
	}
	archive_read_free(a);
	return strbuf_steal(&b);
}

TEST(the_image_reads_back)
{
	cleanup_free char *large = xcalloc(1, 300001), *is = NULL, *want = NULL;
	cleanup_close int fd = memfd_create("image", MFD_CLOEXEC);
	struct nocloud_file f[NOCLOUD_FILES] = {
		{"meta-data", xstrdup("m")}, {"user-data", NULL}, {"vendor-data", NULL},
		{"network-config", xstrdup("version: 2")}};
	char label[32];

	memset(large, 'u', 300000);
	f[1].text = xstrdup(large);
	check_ok(nocloud_image(f, fd, NULL), NULL);
	is = list(fd, label);
	label[8] = 0;
	check_str(label, "CIDATA  ");
	want = str_printf("meta-data=m\nnetwork-config=version: 2\nuser-data=%s\n", large);
	check(strstr(is, "meta-data=m\n"));
	check(strstr(is, "network-config=version: 2\n"));
	check(strstr(is, large));
	check_int(strlen(is), ==, strlen(want));
	files_done(f);
}
