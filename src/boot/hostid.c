/* See hostid.h. */
#include "boot/hostid.h"

#include <ctype.h>
#include <dirent.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

uint32_t
hostid_of_text(const char *text)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *text; text++)
		h = (h ^ (uint8_t)tolower((unsigned char)*text)) * 16777619u;
	return h ? h : 1;
}

int
system_uuid(char **ret, struct error *err)
{
	cleanup_free char *uuid = NULL;
	int r = file_read_line("/sys/class/dmi/id/product_uuid", &uuid, err);

	if (r < 0)
		return r;
	str_lower(uuid);
	if (!str_is_uuid(uuid) || strspn(uuid, "0-") == UUID_LEN || strspn(uuid, "f-") == UUID_LEN)
		return error_set(err, ENOENT, "the firmware gives no system UUID");
	*ret = steal_ptr(&uuid);
	return 0;
}

/* The smallest permanent address, so that the order of discovery does not matter. */
static int
first_mac(char **ret, struct error *err)
{
	DIR *d = opendir("/sys/class/net");
	cleanup_free char *best = NULL;
	struct dirent *e;

	if (!d)
		return error_set_errno(err, errno, "/sys/class/net");
	while ((e = readdir(d)) != NULL) {
		cleanup_free char *dev = str_printf("/sys/class/net/%s/device", e->d_name);
		cleanup_free char *path = str_printf("/sys/class/net/%s/address", e->d_name);
		cleanup_free char *mac = NULL;

		if (e->d_name[0] == '.' || !file_exists(dev) || file_read_line(path, &mac, NULL) < 0)
			continue;
		if (!best || strcmp(mac, best) < 0) {
			free(best);
			best = steal_ptr(&mac);
		}
	}
	closedir(d);
	if (!best)
		return error_set(err, ENOENT, "neither a system UUID nor a network card");
	*ret = steal_ptr(&best);
	return 0;
}

int
node_uuid(char **ret, struct error *err)
{
	cleanup_free char *mac = NULL;
	int r = system_uuid(ret, NULL);

	if (r == 0)
		return 0;
	r = first_mac(&mac, err);
	if (r < 0)
		return r;
	if (strlen(mac) != 17)
		return error_set(err, EINVAL, "\"%s\" is no Ethernet address", mac);
	*ret = str_printf("00000000-0000-0000-0000-%.2s%.2s%.2s%.2s%.2s%.2s", mac, mac + 3, mac + 6,
			  mac + 9, mac + 12, mac + 15);
	return 0;
}

int
hostid_of_system(uint32_t *ret, struct error *err)
{
	cleanup_free char *text = NULL;
	int r = system_uuid(&text, NULL);

	if (r < 0)
		r = first_mac(&text, err);
	if (r == 0)
		*ret = hostid_of_text(text);
	return r;
}

int
hostid_write(const char *path, uint32_t id, struct error *err)
{
	uint8_t b[4] = {id & 0xff, id >> 8 & 0xff, id >> 16 & 0xff, id >> 24};

	return file_write_atomic(path, b, sizeof(b), 0644, err);
}
