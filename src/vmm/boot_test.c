/*
 * The whole program: a kernel of a few bytes, in an ELF file and in a bzImage,
 * is booted by bhyve(8) on the host's /dev/kvm, says something on COM1 and
 * switches the machine off.
 */
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/test.h"
#include "os/run.h"
#include "vmm/boot/boot.h"
#include "vmm/dirty.h"
#include "vmm/vm.h"

#define ENTRY 0x100000

/*
 *	mov dx, 0x3f8; mov al, 'O'; out dx, al; mov al, 'K'; out dx, al
 *	cmp dword [ebx], 0x336ec578; jne end		; start_info's magic
 *	mov esi, [ebx+24]				; the command line
 * l:	lodsb; test al, al; jz end; out dx, al; jmp l
 * end:	mov dx, 0x604; mov ax, VALUE; out dx, ax; hlt
 */
static const uint8_t code[] = {
	0x66, 0xba, 0xf8, 0x03, 0xb0, 'O',  0xee, 0xb0, 'K',  0xee, 0x81, 0x3b, 0x78, 0xc5, 0x6e,
	0x33, 0x75, 0x0b, 0x8b, 0x73, 0x18, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, 0x66,
	0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x34, 0x66, 0xef, 0xf4};

/* The same in 64-bit mode, with boot_params in RSI: its magic, and its command line. */
static const uint8_t code64[] = {
	0x66, 0xba, 0xf8, 0x03, 0xb0, 'O',  0xee, 0xb0, 'K',  0xee, 0x81, 0xbe, 0x02, 0x02, 0x00,
	0x00, 0x48, 0x64, 0x72, 0x53, 0x75, 0x0e, 0x8b, 0xb6, 0x28, 0x02, 0x00, 0x00, 0xac, 0x84,
	0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8, 0x66, 0xba, 0x04, 0x06, 0x66, 0xb8, 0x00, 0x34, 0x66,
	0xef, 0xf4};
#define AT_64 0x100

struct image {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
	Elf64_Nhdr note;
	char note_name[4];
	uint32_t note_entry;
	uint8_t pad[4096 - sizeof(Elf64_Ehdr) - 2 * sizeof(Elf64_Phdr) - sizeof(Elf64_Nhdr) - 8];
	uint8_t text[4096];
};

static void
make_kernel(struct image *k, bool with_note)
{
	memset(k, 0, sizeof(*k));
	memcpy(k->eh.e_ident, "\177ELF\2\1\1", 7);
	k->eh.e_type = ET_EXEC;
	k->eh.e_machine = EM_X86_64;
	k->eh.e_phoff = sizeof(k->eh);
	k->eh.e_phentsize = sizeof(k->ph[0]);
	k->eh.e_phnum = with_note ? 2 : 1;
	k->ph[0] = (Elf64_Phdr){.p_type = PT_LOAD, .p_offset = 4096, .p_paddr = ENTRY,
				.p_filesz = 4096, .p_memsz = 8192};
	k->ph[1] = (Elf64_Phdr){.p_type = PT_NOTE, .p_offset = offsetof(struct image, note),
				.p_filesz = sizeof(k->note) + 8};
	k->note = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 4, .n_type = 18};
	memcpy(k->note_name, "Xen", 4);
	k->note_entry = ENTRY;
	memcpy(k->text, code, sizeof(code));
	k->eh.e_entry = ENTRY + AT_64;
	memcpy(k->text + AT_64, code64, sizeof(code64));
}

static char *
temporary(const char *name)
{
	return str_printf("%s/%s", test_tmpdir(), name);
}

static int
bhyve_with(const char *key, const char *kernel, char **output, struct error *err)
{
	cleanup_free char *cache = str_printf("boot.cache=%s", test_tmpdir());
	cleanup_free char *program = xstrdup(test_built("src/vmm/bhyve"));
	cleanup_free char *boot = str_printf("kernel,%s", kernel);
	int status = -1;
	int r = run_capture((const char *const[]){program, "-m", "16", "-l", boot, "-l",
						  "cmdline,hello", "-l", "com1,stdio", "-o", cache,
						  "-o", "ctl.path=none", "-o", key, "tiny",
						  NULL},
			    output, &status, err);

	return r < 0 ? r : status;
}

static int
bhyve(const char *kernel, char **output, struct error *err)
{
	return bhyve_with("boot.linux64=false", kernel, output, err);
}

static void
need_kvm(void)
{
	if (access("/dev/kvm", R_OK | W_OK) != 0)
		test_skip("no usable /dev/kvm here");
}

TEST(a_vmlinux_boots_and_powers_off)
{
	cleanup_free char *path = temporary("vmlinux"), *output = NULL;
	cleanup_error struct error err = ERROR_INIT;
	static struct image k;

	need_kvm();
	make_kernel(&k, true);
	check_ok(file_write_atomic(path, &k, sizeof(k), 0600, &err), &err);
	/* 1: switched off by the guest. */
	check_int(bhyve(path, &output, &err), ==, 1);
	check_str(output, "OKhello");
}

static size_t
gzip(const void *from, size_t len, uint8_t *to, size_t room)
{
	z_stream z = {.next_in = (uint8_t *)(uintptr_t)from, .avail_in = (unsigned)len,
		      .next_out = to, .avail_out = (unsigned)room};

	require(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	require(deflate(&z, Z_FINISH) == Z_STREAM_END);
	deflateEnd(&z);
	return z.total_out;
}

TEST(a_bzimage_is_decompressed_once)
{
	cleanup_free char *path = temporary("bzImage"), *output = NULL;
	cleanup_error struct error err = ERROR_INIT;
	static struct image k;
	static uint8_t bz[32768];
	uint32_t magic = 0x53726448, offset = 0, len, size = sizeof(k);
	int fd, again;
	bool is_linux = false;
	struct stat a, b;

	make_kernel(&k, true);
	len = (uint32_t)gzip(&k, sizeof(k), bz + 1024, sizeof(bz) - 2048);
	memcpy(bz + 1024 + len, &size, 4);
	len += 4;
	bz[0x1f1] = 1;
	memcpy(bz + 0x202, &magic, 4);
	memcpy(bz + 0x248, &offset, 4);
	memcpy(bz + 0x24c, &len, 4);
	check_ok(file_write_atomic(path, bz, sizeof(bz), 0600, &err), &err);
	check_ok(vmlinux_open(path, test_tmpdir(), &fd, &is_linux, &err), &err);
	check_ok(vmlinux_open(path, test_tmpdir(), &again, &is_linux, &err), &err);
	check(is_linux);
	check(fstat(fd, &a) == 0 && fstat(again, &b) == 0);
	/* Zeroes at the end of a segment are not kept. */
	check_int(a.st_size, ==, (long)(offsetof(struct image, text) + AT_64 + sizeof(code64)));
	check_int(a.st_ino, ==, (long)b.st_ino);
	close(fd);
	close(again);
	/* A damaged one says so and leaves nothing. */
	bz[1100] ^= 0xff;
	check_ok(file_write_atomic(path, bz, sizeof(bz), 0600, &err), &err);
	check(vmlinux_open(path, test_tmpdir(), &fd, &is_linux, &err) < 0);
	check_has(error_message(&err), "gzip payload is damaged");
	bz[1100] ^= 0xff;
	memset(bz + 0x24c, 0xff, 4);
	error_done(&err);
	check_ok(file_write_atomic(path, bz, sizeof(bz), 0600, &err), &err);
	check(vmlinux_open(path, test_tmpdir(), &fd, &is_linux, &err) < 0);
	check_has(error_message(&err), "lies outside of it");
	memcpy(bz + 0x24c, &len, 4);
	error_done(&err);
	check_ok(file_write_atomic(path, bz, sizeof(bz), 0600, &err), &err);
	need_kvm();
	check_int(bhyve(path, &output, &err), ==, 1);
	check_str(output, "OKhello");
	free(steal_ptr(&output));
	check_int(bhyve_with("boot.linux64=true", path, &output, &err), ==, 1);
	check_str(output, "OKhello");
}

/* What initrd_open() gives for a file of these bytes, and how much of it. */
static size_t
opened_initrd(const void *data, size_t len, uint64_t max, char *ret, size_t room)
{
	cleanup_free char *path = temporary("initrd");
	cleanup_error struct error err = ERROR_INIT;
	cleanup_close int fd = -1;
	ssize_t n;

	check_ok(file_write_atomic(path, data, len, 0600, &err), &err);
	check_ok(initrd_open(path, test_tmpdir(), max, &fd, &err), &err);
	n = pread(fd, ret, room, 0);
	require(n >= 0);
	return (size_t)n;
}

TEST(a_ram_disk_is_decompressed_where_that_can_be_done)
{
	static const char first[] = "070701 the first", second[] = "070701 the second archive";
	uint8_t in[512] = {0};
	char out[512];
	size_t n = gzip(first, 13, in, sizeof(in)), whole;

	/* Zeroes between archives; each of them begins at a multiple of four. */
	n += 7;
	n += ZSTD_compress(in + n, sizeof(in) - n, second, sizeof(second), 1);
	whole = opened_initrd(in, n, 4096, out, sizeof(out));
	check_int((int)whole, ==, 16 + (int)((sizeof(second) + 3) & ~3UL));
	check(memcmp(out, first, 13) == 0 && memcmp(out + 13, "\0\0\0", 3) == 0);
	check_str(out + 16, second);
	/* As it is: too much for the guest; a third part that nobody knows; damaged; no archive; none at all. */
	check_int((int)opened_initrd(in, n, whole - 1, out, sizeof(out)), ==, (int)n);
	memcpy(in + n, "BZh91AY", 7);
	check_int((int)opened_initrd(in, n + 7, 4096, out, sizeof(out)), ==, (int)n + 7);
	in[20] ^= 0xff;
	check_int((int)opened_initrd(in, n, 4096, out, sizeof(out)), ==, (int)n);
	n = gzip("a disk", 7, in, sizeof(in));
	check_int((int)opened_initrd(in, n, 4096, out, sizeof(out)), ==, (int)n);
	check(memcmp(in, out, n) == 0);
	check_int((int)opened_initrd(first, 9, 4096, out, sizeof(out)), ==, 9);
	check_int((int)opened_initrd(first, 0, 4096, out, sizeof(out)), ==, 0);
}

TEST(a_cache_keeps_the_newest)
{
	cleanup_free char *dir = temporary("cache");
	cleanup_error struct error err = ERROR_INIT;
	struct dirent *e;
	unsigned old = 0, other = 0;

	for (int i = 0; i < 10; i++) {
		cleanup_free char *path = str_printf("%s/initrd-%d", dir, i);
		struct timespec at[2] = {{.tv_sec = 100 + i}, {.tv_sec = 100 + i}};

		check_ok(file_mkdir_p(dir, 0700, &err), &err);
		check_ok(file_write_atomic(path, "x", 1, 0600, &err), &err);
		check(utimensat(AT_FDCWD, path, at, 0) == 0);
	}

	DIR *d = opendir(dir);

	require(d);
	cache_forget_oldest(dirfd(d), "vmlinux-");
	cache_forget_oldest(dirfd(d), "initrd-");
	rewinddir(d);
	while ((e = readdir(d))) {
		old += str_eq(e->d_name, "initrd-0");
		other += str_after(e->d_name, "initrd-") != NULL;
	}
	closedir(d);
	check_int((int)old, ==, 0);
	check_int((int)other, ==, 9);
}

TEST(what_is_not_there_is_refused)
{
	cleanup_free char *program = xstrdup(test_built("src/vmm/bhyve")), *output = NULL;
	cleanup_error struct error err = ERROR_INIT;

	need_kvm();
	static const struct {
		const char *option, *says;
	} refused[] = {
		{"-odomains=1", "NUMA domains (-n) are not supported"},
		{"-olpc.pc-testdev=true", "there is no test device"},
		{"-olpc.pcireg.vendor=host", "lpc.pcireg: "},
		{"-Kgerman", "keyboard.layout: there is no \"german\""},
		{"-lfwcfg,x", "lpc.fwcfg: \"x\" is not qemu or bhyve"},
		{"-s4,virtio-net,netgraph", "netgraph is not there"},
		{"-s4,virtio-net,vale0:1", "vale is not there"},
		{"-s4,virtio-input,/dev/input/event0", "\"/dev/input/event0\" is not keyboard or tablet"},
		{"-p1:0", "vcpu.1: expected a vcpu from 0 to 0"},
		{"-s4,virtio-net,tapNOPE", "there is no interface \"tapNOPE\""},
		{"-s4,nvme,ram=1,dsm=perhaps", "\"perhaps\" is not auto, enable or disable"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++) {
		free(steal_ptr(&output));
		check(RUN_OUTPUT(&output, &err, program, refused[i].option, "-m", "16", "vm") < 0);
		check_has(error_message(&err), refused[i].says);
		error_done(&err);
	}
}

/* A FIFO instead of a file: nobody writes to it, and a socket in its place would be our doing. */
TEST(what_is_no_file_is_neither_waited_for_nor_removed)
{
	static const struct {
		const char *option, *says;
	} with[] = {
		{"-s4,ahci-cd,", "is neither a file nor a block device"},
		{"-lbootrom,", "is neither a file nor a block device"},
		{"-lkernel,", "is neither a file nor a block device"},
		{"-r", "is neither a file nor a block device"},
		{"-lcom1,file,", "No such device or address"},
		{"-lcom1,socket,", "in use: a process listens there, or it is no socket"},
		{"-s4,fbuf,unix=", "in use: "},
		{"-s4,virtio-vsock,path=", "in use: "},
		{"-runix=", "in use: "},
		{"-octl.path=", "in use: "},
	};
	cleanup_free char *program = xstrdup(test_built("src/vmm/bhyve")), *fifo = temporary("fifo");
	cleanup_free char *path = temporary("vmlinux"), *kernel = str_printf("-oboot.kernel=%s", path);
	cleanup_error struct error err = ERROR_INIT;
	static struct image k;
	struct stat st;

	need_kvm();
	make_kernel(&k, true);
	check_ok(file_write_atomic(path, &k, sizeof(k), 0600, &err), &err);
	check(mkfifo(fifo, 0600) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(with); i++) {
		cleanup_free char *option = str_printf("%s%s", with[i].option, fifo), *output = NULL;
		bool rom = strstr(option, "bootrom") != NULL;

		check(RUN_OUTPUT(&output, &err, program, "-m16", "-octl.path=none", rom ? "-u" : kernel,
				 option, "vm") < 0);
		check_has(error_message(&err), with[i].says);
		error_done(&err);
		check(lstat(fifo, &st) == 0 && S_ISFIFO(st.st_mode));
	}
}

TEST(what_cannot_boot_says_why)
{
	cleanup_free char *path = temporary("vmlinux"), *output = NULL;
	cleanup_error struct error err = ERROR_INIT;
	static struct image k;

	need_kvm();
	make_kernel(&k, false);
	check_ok(file_write_atomic(path, &k, sizeof(k), 0600, &err), &err);
	check_int(bhyve(path, &output, &err), ==, 4);
	/* Segments outside of memory. */
	make_kernel(&k, true);
	k.ph[0].p_paddr = 1ULL << 40;
	check_ok(file_write_atomic(path, &k, sizeof(k), 0600, &err), &err);
	free(steal_ptr(&output));
	check_int(bhyve(path, &output, &err), ==, 4);
	check_ok(file_write_atomic(path, "nothing of the kind", 20, 0600, &err), &err);
	free(steal_ptr(&output));
	check_int(bhyve(path, &output, &err), ==, 4);
}

/* ---- images: what is mapped instead of copied ---- */

#define POOL "/proc/sys/vm/nr_overcommit_hugepages"
static char *pool_before;

static void
give_back_pool(void)
{
	if (pool_before)
		(void)file_write(POOL, pool_before, NULL);
	free(steal_ptr(&pool_before));
}

/* A hugetlbfs of the test's own; the caller's to free. */
static char *
image_dir(void)
{
	char *dir = temporary("images");

	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mkdir(dir, 0700) < 0 || mount("huge", dir, "hugetlbfs", 0, "pagesize=2M") < 0)
		test_skip("no hugetlbfs here");
	if (file_read_line(POOL, &pool_before, NULL) < 0 || file_write(POOL, "64", NULL) < 0)
		test_skip("no huge pages here");
	return dir;
}

struct counted {
	uint64_t bytes;
	bool found;
};

static int
count(void *arg, uint64_t gpa, const uint8_t *hva, uint64_t len, struct error *err)
{
	struct counted *c = arg;

	c->bytes += len;
	c->found = c->found || (gpa <= 0x400000 && gpa + len > 0x400000);
	return 0;
}

static struct vm *
vm_with(struct config **ret_config, const char *images)
{
	cleanup_error struct error err = ERROR_INIT;
	struct vm *vm = NULL;

	*ret_config = config_new();
	check_ok(config_set(*ret_config, "boot.images", images, &err), &err);
	check_ok(vm_new_fake(*ret_config, 16 << 20, &vm, &err), &err);
	require(vm);
	return vm;
}

TEST(an_image_is_mapped_by_every_guest_and_written_by_none)
{
	cleanup_free char *path = temporary("file"), *dir = image_dir();
	const struct boot_piece pieces[] = {{0, 0x400010, 5}, {8192, 0x601000, 4}};
	cleanup_error struct error err = ERROR_INIT;
	struct dirty d = DIRTY_INIT;
	struct counted c = {0};
	static char file[8196] = "hello";
	struct config *config[2];
	struct vm *vm[2];
	char got[8];
	int fd, r;

	memcpy(file + 8192, "rest", 4);
	check_ok(file_write_atomic(path, file, sizeof(file), 0600, &err), &err);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	for (int i = 0; i < 2; i++) {
		vm[i] = vm_with(&config[i], dir);
		r = image_map(vm[i], fd, pieces, 2, &err);
		if (r == -ENOTSUP) {
			vm_free(vm[i]);
			config_free(config[i]);
			give_back_pool();
			test_skip("no huge pages to be had");
		}
		check_ok(r, &err);
		require(mem_read(&vm[i]->mem, 0x400010, got, 5));
		check(memcmp(got, "hello", 5) == 0);
		require(mem_read(&vm[i]->mem, 0x601000, got, 4));
		check(memcmp(got, "rest", 4) == 0);
		check(mem_write(&vm[i]->mem, 0x400010, "HELLO", 5));
		/* Not what the file says would come back, but what the guest wrote stays. */
		mem_discard(&vm[i]->mem, 0x400000, MEM_HUGE_PAGE);
		require(mem_read(&vm[i]->mem, 0x400010, got, 5));
		check(memcmp(got, "HELLO", 5) == 0);
		/* Twice the same place: nothing is done. */
		check_int(image_map(vm[i], fd, pieces, 2, &err), ==, -ENOTSUP);
		error_done(&err);
	}
	/* What nobody touched holds something all the same. */
	r = dirty_open(&d, &vm[0]->mem, true, &err);
	if (r == 0) {
		check_ok(dirty_walk(&d, count, &c, &err), &err);
		check(c.found);
		check_int((long)c.bytes, >=, (long)(2 * MEM_HUGE_PAGE));
		dirty_close(&d);
	}
	for (int i = 0; i < 2; i++) {
		vm_free(vm[i]);
		config_free(config[i]);
	}
	close(fd);
	give_back_pool();
}

static unsigned
files_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	unsigned n = 0;

	require(d);
	while ((e = readdir(d)))
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

TEST(images_are_few_and_never_in_the_way)
{
	cleanup_free char *path = temporary("file"), *dir = image_dir();
	cleanup_error struct error err = ERROR_INIT;
	struct config *config;
	static const struct boot_piece low = {0, 0x100000, 4}, outside = {0, 15 << 20, 2 << 20},
				       beyond = {4096, 0x400000, 4}, fits = {0, 0x400000, 4};
	int r = 0;

	for (unsigned i = 0; i < 10 && r == 0; i++) {
		struct vm *vm = vm_with(&config, dir);
		int fd;

		check_ok(file_write_atomic(path, "file", 4, 0600, &err), &err);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		/* Where the tables are, outside of memory, and more than the file has. */
		check_int(image_map(vm, fd, &low, 1, NULL), ==, -ENOTSUP);
		check_int(image_map(vm, fd, &outside, 1, NULL), ==, -ENOTSUP);
		check_int(image_map(vm, fd, &beyond, 1, NULL), ==, -ENOTSUP);
		r = image_map(vm, fd, &fits, 1, NULL);
		close(fd);
		vm_free(vm);
		config_free(config);
	}
	if (r == 0)
		check_int((int)files_in(dir), ==, 8);

	/* No hugetlbfs: nothing to map. */
	struct vm *vm = vm_with(&config, test_tmpdir());
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	check_int(image_map(vm, fd, &fits, 1, NULL), ==, -ENOTSUP);
	close(fd);
	vm_free(vm);
	config_free(config);
	give_back_pool();
	if (r < 0)
		test_skip("no huge pages to be had");
}

TEST(a_kernel_boots_from_its_image)
{
	cleanup_free char *path = temporary("vmlinux"), *dir = image_dir(), *output = NULL;
	cleanup_free char *images = str_printf("boot.images=%s", dir);
	cleanup_error struct error err = ERROR_INIT;
	static struct image k;

	make_kernel(&k, true);
	k.ph[0].p_paddr = 0x400000;
	k.note_entry = 0x400000;
	check_ok(file_write_atomic(path, &k, sizeof(k), 0600, &err), &err);
	for (int i = 0; i < 2 && access("/dev/kvm", R_OK | W_OK) == 0; i++) {
		free(steal_ptr(&output));
		check_int(bhyve_with(images, path, &output, &err), ==, 1);
		check_str(output, "OKhello");
	}
	give_back_pool();
	need_kvm();
}
